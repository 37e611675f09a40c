"""An experiment over two arms, as it stands in a snapshot."""

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec, Arm, GuardMetric, Role, Unit
from sluice_api.snapshot import CompiledExperiment

MODELS = {"base": "", "new": "support-r2"}


def experiment(
    unit: Unit = Unit.USER,
    *,
    new: int = 50,
    salt: str = "",
    guard_metrics: tuple[GuardMetric, ...] = (),
    min_samples: int = 1000,
    promoted: str = "",
    resting: tuple[str, ...] = (),
) -> CompiledExperiment:
    """Splits the model `support` of the server `m` between its base model and the adapter `support-r2`.

    Args:
        new: The treatment's weight.
    """
    spec = AdapterExperimentSpec(
        model_server_ref="m",
        model_name="support",
        unit=unit,
        salt=salt,
        guard_metrics=guard_metrics,
        min_samples_per_arm=min_samples,
        arms=(
            Arm(name="base", role=Role.CONTROL, weight=100 - new),
            Arm(name="new", role=Role.TREATMENT, weight=new, adapter_ref="r2"),
        ),
    )
    return CompiledExperiment(spec=spec, models=MODELS, promoted=promoted, resting=resting)
