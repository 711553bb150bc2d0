"""The routing control: what a visitor picks, in words and as the model takes it."""

from mowe.model.control import RoutingControl

LEARNED, NONE, DENSE = "learned", "none", "dense"
FORCE = "force:"


def routing_choices(encoder_names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Label and value of every choice, the learned routing first."""
    if not encoder_names:
        return [("learned routing", LEARNED)]
    forced = [(f"only {name}", f"{FORCE}{name}") for name in encoder_names]
    ends = [("no weak encoder", NONE), ("all encoders (dense)", DENSE)]
    return [("learned routing", LEARNED), *forced, *ends]


def routing_control(value: str) -> RoutingControl | None:
    """The choice as the model takes it; None leaves the learned routing."""
    if value.startswith(FORCE):
        return RoutingControl(force=(value.removeprefix(FORCE),))
    return {NONE: RoutingControl(no_weak=True), DENSE: RoutingControl(dense=True)}.get(value)


def routing_words(value: str, encoder_names: tuple[str, ...]) -> str:
    """The choice as people read it."""
    return {choice: label for label, choice in routing_choices(encoder_names)}[value]
