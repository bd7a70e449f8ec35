#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cluster/slurm.sbatch on a real Slurm: munged, slurmctld and slurmd of the distribution on
loopback, with all their files in a temporary folder. Tasks of the array are killed, and the merged
store is compared with a sweep of one process. Ends with 77 where Slurm is not installed.

    slurm_test.py KPKSIM
"""
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "cluster/slurm.sbatch"
SKIPPED = 77
PATIENCE = 120  # seconds until something that has to come is missing
TASKS, POINTS = 4, 200  # and points of each task
KILLED, ENDED = 2, 3  # tasks: by kill -9, and as when its time is over

# Small pages of a large region: a point takes some ten milliseconds, a task some seconds.
WORKLOAD = """{"name": "w", "phases": [{"name": "all", "ops": [
  {"op": "spawn", "task": "p"},
  {"op": "mmap", "task": "p", "region": "h", "size": "64M", "prot": "rw", "huge": "never"},
  {"op": "touch", "task": "p", "region": "h", "access": "write"}]}]}"""
SPEC = """{"name": "on-slurm", "base": {"workload": "w.json"}, "space": [
  {"grid": {"policy": ["none,buddy,pte", "kpkeys-poe+lazy,pba,block"]}},
  {"random": {"core:/cycles/isb": {"from": 27, "to": 35}}, "points": 400}]}"""
SLURM_CONF = """ClusterName=kpksim
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# Nothing that needs control groups, which a container may not have.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
# The node says that it has the processors that two tasks ask for.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
ReturnToService=2
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs=16
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(what, is_there, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := is_there():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {patience} s")


class Cluster:
    """The three daemons, as children of this process."""

    def __init__(self, folder, kpksim):
        self.folder = folder
        self.daemons = []
        # This may run as a task of a real cluster, whose variables are not for ours.
        foreign = ("SLURM_", "SBATCH_", "SCANCEL_", "JOB_COMPLETION", "PMI_", "OMPI_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        self.environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "KPKSIM": kpksim}
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        controller, node = free_ports(2)
        (folder / "slurm.conf").write_text(SLURM_CONF.format(
            folder=folder, host=socket.gethostname().split(".")[0], user=os.geteuid(),
            controller=controller, node=node))

    def start(self):
        self.daemon(["munged", "--foreground", f"--socket={self.folder}/munge.socket",
                     f"--key-file={self.folder}/munge.key", f"--pid-file={self.folder}/munged.pid",
                     f"--log-file={self.folder}/munged.log",
                     f"--seed-file={self.folder}/munged.seed"])
        self.wait_for("munged's socket", (self.folder / "munge.socket").exists)
        self.daemon(["slurmctld", "-D", "-i"])
        self.daemon(["slurmd", "-D"])
        self.wait_for("a node that is idle",
                      lambda: self.ask("sinfo", "--noheader", "--format=%t", check=False) == "idle")

    def wait_for(self, what, is_there):
        """As wait_for(), while the daemons live."""
        def look():
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise AssertionError(f"{daemon.args[0]} ended with {daemon.returncode}")
            return is_there()
        return wait_for(what, look)

    def daemon(self, command):
        with open(self.folder / f"{command[0]}.out", "wb") as out:
            self.daemons.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT,
                                                 env=self.environment))

    def ask(self, *command, check=True):
        done = subprocess.run(command, env=self.environment, cwd=self.folder,
                              capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}{done.stdout}")
        return done.stdout.strip()

    def sweep(self, *arguments):
        """What `kpksim sweep` prints, outside the array."""
        return self.ask(self.environment["KPKSIM"], "sweep", *map(str, arguments))

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def logs(self):
        text = ""
        for path in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out")):
            lines = path.read_text(errors="replace").splitlines()[-25:]
            text += "\n".join([f"--- {path.name}", *lines, ""])
        return text


class Array:
    """The job file's array of a sweep, or of a manifest's lines."""

    def __init__(self, cluster, tasks, what):
        self.cluster = cluster
        # %2: no more than two at once.
        self.id = cluster.ask("sbatch", "--parsable", f"--array=1-{tasks}%2", str(JOB), what)

    def field(self, task, name):
        shown = self.cluster.ask("scontrol", "show", "job", f"{self.id}_{task}")
        fields = dict(field.split("=", 1) for field in shown.split() if "=" in field)
        return fields[name]

    def store(self, task):
        return self.cluster.folder / f"stores/on-slurm.{task}-of-{TASKS}.sqlite"

    def points(self, task):
        # Not read only: what a killed process left half written is taken back by who opens it next.
        try:
            with sqlite3.connect(f"file:{self.store(task)}?mode=rw", uri=True) as store:
                return store.execute("SELECT count(*) FROM point").fetchone()[0]
        except sqlite3.OperationalError:  # it is not there yet
            return 0

    def process(self, task):
        """The simulator of a task that runs."""
        wanted = {f"SLURM_ARRAY_JOB_ID={self.id}", f"SLURM_ARRAY_TASK_ID={task}"}
        for path in Path("/proc").iterdir():
            try:
                if (path.name.isdigit() and (path / "comm").read_text().strip() == "kpksim" and
                        wanted <= set((path / "environ").read_text().split("\0"))):
                    return int(path.name)
            except OSError:  # it is over, or another user's
                continue
        return None

    def in_its_midst(self, task):
        """Waits until a task has kept some of its points, and not yet all."""
        wait_for(f"points of task {task}", lambda: self.points(task) > 0)
        kept = self.points(task)
        assert kept < POINTS, f"task {task} was over before it was killed: {kept} points"

    def has_been(self, task, state):
        wait_for(f"task {task} {state}", lambda: self.field(task, "JobState") == state)

    def starts_again(self, task):
        """Slurm lets a task that was requeued wait for two minutes; this one need not."""
        wait_for(f"task {task} in the queue again",
                 lambda: self.field(task, "JobState") == "PENDING" and
                 self.field(task, "Restarts") == "1")
        self.cluster.ask("scontrol", "update", f"JobId={self.id}_{task}", "StartTime=now")


def a_killed_and_an_ended_task_go_on(cluster):
    array = Array(cluster, TASKS, "sweep.json")
    array.in_its_midst(KILLED)
    os.kill(array.process(KILLED), signal.SIGKILL)
    array.has_been(KILLED, "FAILED")
    array.in_its_midst(KILLED)
    cluster.ask("scontrol", "requeue", f"{array.id}_{KILLED}")
    array.starts_again(KILLED)
    array.in_its_midst(ENDED)
    cluster.ask("scancel", "--batch", "--signal=TERM", f"{array.id}_{ENDED}")
    array.starts_again(ENDED)
    for task in range(1, TASKS + 1):
        array.has_been(task, "COMPLETED")
    restarts = [array.field(task, "Restarts") for task in range(1, TASKS + 1)]
    assert restarts == ["0", "1", "1", "0"], restarts
    return [array.store(task) for task in range(1, TASKS + 1)]


def lines_of_a_manifest_are_tasks(cluster):
    shards = ("1/3", "3/3", "2/3")
    (cluster.folder / "manifest").write_text("".join(f"sweep.json {s}\n" for s in shards))
    array = Array(cluster, len(shards), "manifest")
    for task in range(1, len(shards) + 1):
        array.has_been(task, "COMPLETED")
    return [cluster.folder / f"stores/on-slurm.{i}-of-3.sqlite" for i in (1, 2, 3)]


def exported(cluster, store, form):
    text = cluster.sweep("export", "-f", form, store)
    assert text.count("\n") >= TASKS * POINTS - 1, text[:200]
    return text


def check(kpksim, folder):
    (folder / "w.json").write_text(WORKLOAD)
    (folder / "sweep.json").write_text(SPEC)
    cluster = Cluster(folder, kpksim)
    whole = folder / "whole.sqlite"
    try:
        cluster.start()
        for part in (a_killed_and_an_ended_task_go_on, lines_of_a_manifest_are_tasks):
            merged = folder / f"{part.__name__}.sqlite"
            cluster.sweep("merge", "-o", merged, *part(cluster))
            if not whole.exists():
                cluster.sweep("-q", "-o", whole, "sweep.json")
            for form in ("csv", "jsonl"):
                assert exported(cluster, merged, form) == exported(cluster, whole, form), (
                    f"{part.__name__}: the merged store is not the whole one ({form})")
            print(f"{part.__name__}: as one process")
    except Exception:
        print(cluster.logs(), file=sys.stderr)
        raise
    finally:
        cluster.stop()


def main():
    kpksim = str(Path(sys.argv[1]).resolve())
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [p for p in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(p)]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed (packages munge, slurmctld, slurmd, "
              "slurm-client)")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="kpksim-slurm-") as folder:
        os.chmod(folder, 0o755)  # munged wants its socket to be within reach of all
        check(kpksim, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
