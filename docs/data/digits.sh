#!/usr/bin/env bash
# All runs on digits that the docs show: the table, the ten seeds at 10 % of the images, and the methods with the values of a search.
# Stop it at any time: the same command goes on. What is published comes back by
#   python aggregate.py --unbundle docs/data/digits.jsonl.gz
#   python aggregate.py --unbundle docs/data/digits_ten.jsonl.gz --outputs outputs_ten
#   python aggregate.py --unbundle docs/data/digits_tuned.jsonl.gz --outputs outputs_tuned
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python}
newer=nst,pkt,sp,cc,crd,srrl,wsld,reviewkd,dkd,dist,simkd,ctkd
rows=student,soft_logits,fitnet,at,fsp,dml,kd_svd,kd_eid,ft,ab,rkd,vid,mhgd,co,$newer

sweep() {
  "$python" run.py -m hydra/launcher=joblib hydra.launcher.n_jobs="${JOBS:-2}" "$@"
}

# The table of the digits, and its three teachers.
sweep seed=0,1,2 fraction=1.0,0.5,0.25,0.1 method=teacher,"$rows"

# Ten seeds at 10 %, in a folder of their own: what is ours, and the newer methods. Hydra takes a value as it stands for the
# default method, which has not all keys; a choice of one value is part of the sweep.
ten() {
  sweep outputs=outputs_ten fraction=0.1 "seed=range(10)" "$@"
}
ten method=student,soft_logits,kd_svd,kd_eid,fsp,mhgd,ft,ab,co,at,"$newer"
ten method=ab,co,at "method.area_scaling=choice(false)"
ten method=sp,pkt "method.batch_scaling=choice(true)"
ten method=simkd "method.distance=choice(position)"
ten method=fsp "method.connector=choice(relu)"
ten method=kd_eid "method.connector=choice(linear)"
ten method=kd_eid "method.signs=choice(equal)"
ten method=kd_svd,kd_eid "method.signs=choice(equal)" "method.connector=choice(linear)"
ten method=mhgd "method.attention_min_steps=choice(0)"
ten method=mhgd "method.connector=choice(linear)"
ten method=mhgd "method.attention_min_steps=choice(0)" "method.connector=choice(linear)"
ten method=ft "method.area_scaling=choice(true)"
ten method=ft "method.paraphraser_min_steps=choice(0)"
ten method=ft "method.paraphraser_min_steps=choice(0)" "method.paraphraser_share=choice(0.1)" "method.paraphraser_learning_rate=choice(0.1)"

# The same with other values of some methods, which their pages name.
ten method=nst "method.points=choice(last)"
ten method=nst "method.weight=choice(5,500)"
ten method=cc "method.form=choice(paper)" "method.weight=choice(10,100)"
ten method=crd "method.negatives=choice(100)"
ten method=dist "method.temperature=choice(1)"
ten method=simkd "method.distance=choice(paper)"

# Twenty trials a method on held-out training images, then the best of each on the test set.
"$python" tune.py --trials 20 --validation 0.5 --jobs "${JOBS:-2}" outputs=outputs_tuned fraction=0.1 \
  --methods student,soft_logits,fitnet,at,fsp,dml,kd_svd,kd_eid,ft,ab,rkd,vid,mhgd,co
