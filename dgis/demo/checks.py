"""What the demo claims, and whether each claim held."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass(frozen=True, slots=True)
class Check:
    """One claim with what was seen."""

    claim: str
    held: bool
    seen: str


@dataclass(slots=True)
class Checks:
    """Prints each claim as it is checked, and remembers whether all held."""

    console: Console
    made: list[Check] = field(default_factory=list)

    def that(self, claim: str, *, held: bool, seen: str = "") -> None:
        """Record one claim and print it with a tick or a cross."""
        self.made.append(Check(claim, held, seen))
        mark = "[green]✓[/green]" if held else "[bold red]✗[/bold red]"
        detail = f"  [dim]{escape(seen)}[/dim]" if seen else ""
        self.console.print(f"{mark} {escape(claim)}{detail}")

    @property
    def all_held(self) -> bool:
        """Whether there were claims and every one held."""
        return bool(self.made) and all(check.held for check in self.made)
