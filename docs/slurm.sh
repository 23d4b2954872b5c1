#!/bin/bash
# run.py as a plain Slurm job, which goes on after a time limit or a pre-emption:
# sbatch [options of sbatch] docs/slurm.sh [arguments of run.py]
#SBATCH --time=4:00:00 --signal=USR1@120
#SBATCH --requeue --open-mode=append

export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun does not take it from sbatch by itself
srun .venv/bin/python run.py "$@"
status=$?
if [ $status = 138 ]; then # SIGUSR1 came, two minutes before the time limit: the run has saved
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
