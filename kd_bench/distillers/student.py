"""The plain student: cross-entropy with the labels, no teacher. What every method must beat."""

from kd_bench.distillers.base import Distiller, Loss


class Student(Distiller):
    """Trains one network on the labels alone."""

    teacher_init = None

    def terms(self) -> dict[str, Loss]:
        """Returns the cross-entropy alone."""
        return {"task": self.task_loss}
