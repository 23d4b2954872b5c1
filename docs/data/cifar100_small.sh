#!/usr/bin/env bash
# All runs of the CIFAR-100 table, of its lengths and of what is ours, in the order in which they become of use.
# Stop it at any time: the same command goes on. Arguments are passed to each sweep, such as dataset.data_dir=...
# On a new machine, in a clone of revision 29d5c0b with this script, what is done so far comes back by the newest revision's
#   python aggregate.py --unbundle docs/data/cifar100_small_newer.jsonl.gz --outputs <the clone>/outputs_short
#   python aggregate.py --unbundle docs/data/unfinished/cifar100_small.jsonl.gz --outputs <the clone>/outputs
set -euo pipefail
cd "$(dirname "$0")/../.."
extra=("$@")
newer=nst,pkt,sp,cc,crd,srrl,wsld,reviewkd,dkd,dist,simkd,ctkd
rows=student,soft_logits,fitnet,at,fsp,dml,kd_eid,ft,ab,rkd,vid,mhgd,co,$newer

# Hydra takes a value as it stands for the default method, which has not all keys; a choice of one value is part of the sweep.
sweep() { # runs of a failed sweep are tried again by the next command; the others go on
  "${PYTHON:-python}" run.py -m hydra/launcher=joblib hydra.launcher.n_jobs="${JOBS:-2}" experiment=cifar100_small \
    "$@" ${extra[@]+"${extra[@]}"} || failed=1
}
failed=0

# Short training of 585 steps, in a folder of its own: the newer methods, and other values of some.
short() { sweep outputs=outputs_short fraction=0.1 budget=epochs seed=0,1,2 "$@"; }
short method=student,soft_logits,"$newer"
short method=nst "method.weight=choice(5)"
short method=crd "method.weight=choice(0.1)"
short method=sp "method.weight=choice(600)"
short method=simkd "method.distance=choice(position,paper)"
short method=student epochs=60 # 2,340 steps
mkdir -p outputs/cifar100
cp --recursive --no-clobber outputs_short/cifar100/teachers outputs/cifar100

# 10 % of the images: the table's column, the short lengths, the plain student's curve.
for method in "$rows" kd_svd; do sweep fraction=0.1 seed=0,1,2 method="$method"; done
for method in "$rows" kd_svd; do sweep fraction=0.1 epochs=1,3 seed=0,1,2 method="$method"; done
sweep fraction=0.1 budget=epochs seed=0,1,2 method=student # 585 steps
sweep fraction=0.1 epochs=6,30,60,120 seed=0,1,2 method=student

# The other columns with one seed, the long length, then two more seeds.
for method in "$rows" kd_svd; do sweep seed=0 fraction=0.25,0.5,1.0 method="$method"; done
sweep fraction=0.1 epochs=60 method="$rows"
for method in "$rows" kd_svd; do sweep seed=1,2 fraction=0.25,0.5,1.0 method="$method"; done
sweep method=teacher epochs=30 seed=0,1,2

# What is ours: the methods without, or with, what we added to them.
sweep fraction=0.1 seed=0,1,2 method=ab,co,at "method.area_scaling=choice(false)"
sweep fraction=0.1 seed=0,1,2 method=sp,pkt "method.batch_scaling=choice(true)"
sweep fraction=0.1 seed=0,1,2 method=simkd "method.distance=choice(position)"
sweep fraction=0.1 seed=0,1,2 method=kd_eid "method.connector=choice(linear)"
sweep fraction=0.1 seed=0,1,2 method=kd_eid "method.signs=choice(equal)"
sweep fraction=0.1 seed=0,1,2 method=mhgd "method.attention_min_steps=choice(0)"
sweep fraction=0.1 seed=0,1,2 method=ft "method.paraphraser_min_steps=choice(0)"
exit $failed
