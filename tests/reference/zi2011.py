"""TGF-beta receptors and SMAD2 in HaCaT cells: Zi et al. 2011 (Mol Syst Biol 7:492, BIOMD0000000342).

Written from the published equations and constants: receptor trafficking, SMAD2/SMAD4 shuttling and complexes, ligand in
the medium, non-specific binding, and medium per cell that shrinks as the cells divide. Time in minutes, nM.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.integrate import solve_ivp

CYTOSOL, NUCLEUS = 2.3, 1.0  # pL per cell
MEDIUM = 2000.0  # pL per cell: 2 mL for 1e6 cells
MOLECULES = 602.0  # per nM and pL
GROWTH = np.log(1.45) / 1440  # per min

CONSTANTS = {
    "make_t1r": 0.0167,
    "make_t2r": 0.0190076,
    "degrade_t1r": 0.00256,
    "degrade_t2r": 0.0132,
    "internalize": 0.333,
    "recycle": 0.0333,
    "bind": 117.897,
    "dissociate": 0.0438111,
    "degrade_complex": 0.00256,
    "feedback": 0.0233678,
    "import_smad2": 0.156,
    "export_smad2": 0.763,
    "import_smad4": 0.156,
    "export_smad4": 0.359,
    "import_complex": 0.889,
    "phosphorylate": 0.0488268,
    "dephosphorylate": 0.394,
    "on": 0.198472,
    "off": 1.0,
    "on_plastic": 0.0505413,
    "kd_plastic": 40.2257,
}
NAMES = (
    "ligand",
    "plastic",
    "t1r_surface",
    "t1r_endosome",
    "t2r_surface",
    "t2r_endosome",
    "complex_surface",
    "complex_endosome",
    "smad2_c",
    "smad2_n",
    "smad4_c",
    "smad4_n",
    "psmad2_c",
    "dimer_c",
    "trimer_c",
    "psmad2_n",
    "dimer_n",
    "trimer_n",
)
"""State; `dimer` is pSMAD2-pSMAD2, `trimer` stands for pSMAD2-SMAD4."""


def start(k: dict[str, float]) -> np.ndarray:
    """State without ligand: receptors at their steady state, SMADs as measured."""
    y = dict.fromkeys(NAMES, 0.0)
    for receptor in ("t1r", "t2r"):
        made, degraded = k[f"make_{receptor}"], k[f"degrade_{receptor}"]
        y[f"{receptor}_endosome"] = made / degraded
        y[f"{receptor}_surface"] = made / k["internalize"] * (1 + k["recycle"] / degraded)
    y |= {"smad2_c": 60.6, "smad2_n": 28.5, "smad4_c": 50.8, "smad4_n": 50.8}
    return np.array([y[name] for name in NAMES])


def rates(t: float, y: np.ndarray, k: dict[str, float], medium: float) -> np.ndarray:
    """Time derivative of the state."""
    s = dict(zip(NAMES, y, strict=True))
    per_cell = medium * np.exp(-GROWTH * t)
    bind = k["bind"] * s["ligand"] * s["t1r_surface"] * s["t2r_surface"]
    stick = k["on_plastic"] * (s["ligand"] - k["kd_plastic"] * s["plastic"])
    into = k["internalize"] * s["complex_surface"]
    apart = k["dissociate"] * s["complex_endosome"]
    phosphorylate = k["phosphorylate"] * s["smad2_c"] * s["complex_endosome"]
    dephosphorylate = k["dephosphorylate"] * s["psmad2_n"]
    dimer_c = k["on"] * s["psmad2_c"] ** 2 - k["off"] * s["dimer_c"]
    trimer_c = k["on"] * s["psmad2_c"] * s["smad4_c"] - k["off"] * s["trimer_c"]
    dimer_n = k["on"] * s["psmad2_n"] ** 2 - k["off"] * s["dimer_n"]
    trimer_n = k["on"] * s["psmad2_n"] * s["smad4_n"] - k["off"] * s["trimer_n"]
    ratio = CYTOSOL / NUCLEUS
    nuclear = s["psmad2_n"] + 2 * s["dimer_n"] + s["trimer_n"]

    def across(inward: float, outward: float, c: str, n: str) -> float:
        """Net flux into the nucleus, per volume of cytosol."""
        return inward * s[c] - outward * s[n] / ratio

    smad2 = across(k["import_smad2"], k["export_smad2"], "smad2_c", "smad2_n")
    smad4 = across(k["import_smad4"], k["export_smad4"], "smad4_c", "smad4_n")
    psmad2 = across(k["import_smad2"], k["export_smad2"], "psmad2_c", "psmad2_n")
    dimer, trimer = (k["import_complex"] * s[name] for name in ("dimer_c", "trimer_c"))
    change = {
        "ligand": -bind * CYTOSOL / per_cell - stick,
        "plastic": stick,
        "complex_surface": bind - into - k["feedback"] * nuclear * s["complex_surface"],
        "complex_endosome": into - apart - k["degrade_complex"] * s["complex_endosome"],
        "smad2_c": -smad2 - phosphorylate,
        "smad2_n": ratio * smad2 + dephosphorylate,
        "smad4_c": -smad4 - trimer_c,
        "smad4_n": ratio * smad4 - trimer_n,
        "psmad2_c": phosphorylate - psmad2 - trimer_c - 2 * dimer_c,
        "psmad2_n": ratio * psmad2 - trimer_n - 2 * dimer_n - dephosphorylate,
        "dimer_c": dimer_c - dimer,
        "dimer_n": dimer_n + ratio * dimer,
        "trimer_c": trimer_c - trimer,
        "trimer_n": trimer_n + ratio * trimer,
    }
    for receptor in ("t1r", "t2r"):
        surface, endosome = s[f"{receptor}_surface"], s[f"{receptor}_endosome"]
        cycle = k["internalize"] * surface - k["recycle"] * endosome
        change[f"{receptor}_surface"] = k[f"make_{receptor}"] - cycle - bind
        change[f"{receptor}_endosome"] = cycle - k[f"degrade_{receptor}"] * endosome + apart
    return np.array([change[name] for name in NAMES])


def simulate(
    minutes: Sequence[float],
    dose: float = 0.05,
    *,
    medium: float = MEDIUM,
    steps: Sequence[tuple[float, dict[str, float]]] = (),
    **constants: float,
) -> dict[str, np.ndarray]:
    """Simulate the response to `dose` nM of ligand given at time 0.

    `steps` are (minute, changes) in order of time: what becomes of the ligand (`ligand`, nM: 0 washes it out, another
    number adds fresh medium) and of constants. Returns the species and `molecules` (pSMAD2 per cell) at `minutes`.
    """
    k = CONSTANTS | constants
    y = start(k)
    y[0] = dose
    asked = np.asarray(minutes, dtype=float)
    found = np.zeros((len(NAMES), len(asked)))
    edges = [0.0, *(time for time, _ in steps), max(float(asked[-1]), *(time for time, _ in steps), 0.0) + 1e-9]
    changes = [{}, *(change for _, change in steps)]
    for begin, end, change in zip(edges[:-1], edges[1:], changes, strict=True):
        change = dict(change)
        if "ligand" in change:
            y[0] = change.pop("ligand")
        k |= change
        here = (asked >= begin) & (asked < end)
        run = solve_ivp(
            rates, (begin, end), y, method="LSODA", t_eval=[*asked[here], end], args=(k, medium), rtol=1e-6, atol=1e-9
        )
        found[:, here] = run.y[:, :-1]
        y = run.y[:, -1].copy()
    result = dict(zip(NAMES, found, strict=True))
    cytosol, nucleus = (result[f"psmad2_{c}"] + 2 * result[f"dimer_{c}"] + result[f"trimer_{c}"] for c in "cn")
    result["molecules"] = MOLECULES * (CYTOSOL * cytosol + NUCLEUS * nucleus)
    return result
