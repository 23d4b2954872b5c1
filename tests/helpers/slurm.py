"""A real Slurm of one host with two CPUs and two fake GPUs, in a folder of its own: nothing of the host is touched."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
STARTED = 30
"""Seconds that a daemon may take to start or to end."""

CONF = """\
ClusterName=kd_bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes={host} PriorityTier=2 PreemptMode=OFF State=UP
PartitionName=members Nodes={host} AllowAccounts=members State=UP
"""


def missing():
    """Returns the programs of Slurm and Munge that are not here."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextlib.contextmanager
def running(folder):
    """Runs Slurm while the body does; gives the environment in which its commands find it."""
    _configure(folder)
    env = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    with contextlib.ExitStack() as daemons:
        for command in _commands(folder):
            daemons.enter_context(_daemon(command, folder, env))
            if command[0] == "munged":
                _wait_until((folder / "munge.socket").exists, folder)
        _wait_until(lambda: b"idle" in _output(["sinfo", "--noheader", "--format=%T"], env), folder)
        yield env
        subprocess.run(["scancel", f"--user={os.getuid()}"], env=env, check=True)
        _wait_until(lambda: not _output(["squeue", "--noheader"], env), folder)


def _configure(folder):
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for number, device in enumerate(("null", "zero")):  # Slurm counts devices, whatever they are, by their names' ends
        (folder / f"gpu{number}").symlink_to(f"/dev/{device}")
    host = socket.gethostname().partition(".")[0]
    controller, daemon = _free_ports()
    text = CONF.format(folder=folder, host=host, user=getpass.getuser(), controller=controller, daemon=daemon)
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n")
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)


def _commands(folder):
    munge = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid"}
    munge |= {"log-file": "munge.log", "seed-file": "munge.seed"}
    return [
        ["munged", "--foreground", "--force", *(f"--{option}={folder / name}" for option, name in munge.items())],
        ["slurmctld", "-D"],
        ["slurmd", "-D"],
    ]


@contextlib.contextmanager
def _daemon(command, folder, env):
    with (folder / f"{command[0]}.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=env)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STARTED)


def _free_ports():
    with contextlib.ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(2)]
        for one in bound:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in bound]


def _output(command, env):
    return subprocess.run(command, env=env, capture_output=True).stdout


def _wait_until(reached, folder):
    end = time.monotonic() + STARTED
    while not reached():
        assert time.monotonic() < end, "\n".join(path.read_text() for path in sorted(folder.glob("*.[lo][ou][gt]")))
        time.sleep(0.2)
