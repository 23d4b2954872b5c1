"""The plain student: cross-entropy with the labels, no teacher. What every method must beat."""

from kd_bench.distillers.base import Distiller, Stage


class Student(Distiller):
    """Trains one network on the labels alone."""

    teacher_init = None

    def stages(self) -> list[Stage]:
        """Returns the one stage."""
        return [self.main_stage({"task": self.task_loss})]
