"""Treatments as changes of a model: ideal drugs inside a window of time, and drugs as they are given.

A treated model is a plain model: simulation and export need to know nothing of drugs, and a patient's own value of the
target survives, because it is multiplied or added to and never overwritten.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import libsbml

from cascade import _sbml
from cascade._canonical import symbol_table
from cascade._tables import is_number
from cascade.errors import DrugError, ValueSettingError
from cascade.specs import Intervention, Model, Parameter, Wire, require_model
from cascade.therapy._doses import put_doses
from cascade.therapy._interventions import apply
from cascade.therapy._kinetics import put_drug
from cascade.therapy._procedures import put_radiotherapy, put_surgery
from cascade.therapy.procedures import Radiotherapy, Surgery
from cascade.therapy.regimens import Regimen

Treatment = Intervention | Regimen | Surgery | Radiotherapy


def inhibit(
    target: str, by: float, start: float = 0.0, stop: float | None = None, origin: str | None = None
) -> Intervention:
    """Lower what a target does, for example by a drug.

    Parameters
    ----------
    target : str
        Name of a parameter, of a variable with a formula, or of a reaction.
    by : float
        Share of the effect that is lost: above 0, and 1 for a complete block.
    start, stop : float
        Window in days; without `stop` it never ends.
    origin : str, optional
        The window counts from there: `surgery`, `diagnosis`, `metastasis`, or the name of a variable in days.

    Returns
    -------
    Intervention
        For `treat`.

    Raises
    ------
    ValueSettingError
        If a number cannot be used.
    """
    share = _number("by", by)
    if not 0 < share <= 1:
        raise ValueSettingError(
            f"inhibit({target!r}): by is {by!r}; give a share above 0 and at most 1 (0.8 loses 80 %)"
        )
    return _intervention(target, 1.0 - share, start, stop, origin, f"inhibit {target} by {share:g}")


def activate(
    target: str, by: float, start: float = 0.0, stop: float | None = None, origin: str | None = None
) -> Intervention:
    """Raise what a target does: it is multiplied by 1 + `by` inside the window.

    Parameters
    ----------
    target : str
        Name of a parameter, of a variable with a formula, or of a reaction.
    by : float
        Gain above 0; 1 doubles the effect.
    start, stop : float
        Window in days; without `stop` it never ends.
    origin : str, optional
        The window counts from there: `surgery`, `diagnosis`, `metastasis`, or the name of a variable in days.

    Returns
    -------
    Intervention
        For `treat`.

    Raises
    ------
    ValueSettingError
        If a number cannot be used.
    """
    gain = _number("by", by)
    if gain <= 0:
        raise ValueSettingError(f"activate({target!r}): by is {by!r}; give a gain above 0 (1 doubles the effect)")
    return _intervention(target, 1.0 + gain, start, stop, origin, f"activate {target} by {gain:g}")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueSettingError(f"{name} is {value!r}; give a number")
    if not is_number(value):
        raise ValueSettingError(f"{name} is {value!r}; give a finite number")
    return float(value)


def _intervention(
    target: str, factor: float, start: float, stop: float | None, origin: str | None, label: str
) -> Intervention:
    begin = _number("start", start)
    end = None if stop is None else _number("stop", stop)
    if origin is None and begin < 0:
        raise ValueSettingError(f"{label}: start is day {begin:g}, before the simulation begins; give 0 or later")
    if end is not None and end <= begin:
        raise ValueSettingError(f"{label}: stop (day {end:g}) is not after start (day {begin:g})")
    return Intervention(target=target, factor=factor, start=begin, stop=end, origin=origin, label=label)


def treat(model: Model, *treatments: Treatment) -> Model:
    """Write treatments into a model.

    Several treatments of one target multiply. Start values that are computed from the target keep its untreated
    value: the patient was not treated before.

    Parameters
    ----------
    model : Model
    *treatments : Intervention, Regimen, Surgery or Radiotherapy
        Drugs made by `inhibit`, `activate` and `regimen`, and procedures.

    Returns
    -------
    Model
        Without a hierarchical document. An intervention adds the constants `factor_on_<target>`, `start_on_<target>`
        and `stop_on_<target>`; a drug an instance of its own name with its kinetics, `u_<target>` (what of each target
        it holds) and, for its nth regimen, `t_start_<n>` and `n_dose_<n>`. All can be set and swept like any other.

    Raises
    ------
    UnknownNameError
        If a target or an origin is not in the model.
    ValueSettingError
        If the target cannot be treated: a species, a compartment, or something that nothing uses.
    DrugError
        If a regimen cannot be given, or a drug acts on nothing that the model has.
    """
    require_model(model, "treat")
    for each in treatments:
        if not isinstance(each, Treatment):
            raise ValueSettingError(
                f"treat() was given {each!r}; give what inhibit(), activate() and regimen() return, or Surgery and"
                " Radiotherapy, one by one"
            )
    for each in treatments:
        model = _given(model, each) if isinstance(each, Regimen) else _changed(model, each)
    return model


def pharmacokinetics(*regimens: Regimen) -> Model:
    """Return the kinetics of drugs alone, as they are given.

    Parameters
    ----------
    *regimens : Regimen

    Returns
    -------
    Model
        With an instance by drug: `bevacizumab.c_plasma` and the others of its structure.
    """
    for each in regimens:
        if not isinstance(each, Regimen):
            raise DrugError(f"pharmacokinetics() was given {each!r}; give what regimen() returns, one by one")
    if not regimens:
        raise DrugError("pharmacokinetics() was given no regimen; give what regimen() returns")
    document = libsbml.SBMLDocument(3, 2)
    document.createModel().setId("pharmacokinetics")
    _sbml.set_model_units(document.getModel())
    _sbml.add_units(document.getModel(), {"day", "nmole"})
    nobody = Model(name="pharmacokinetics", flat=_sbml.write_document(document), parameters=(), ids={})
    return treat(nobody, *regimens)


def _changed(model: Model, treatment: Intervention | Surgery | Radiotherapy) -> Model:
    document = _sbml.read_document(model.flat, model.name)
    new: list[str] = []
    if isinstance(treatment, Surgery):
        rows = put_surgery(document.getModel(), model, treatment)
    elif isinstance(treatment, Radiotherapy):
        rows = put_radiotherapy(document.getModel(), model, treatment)
    else:
        activity, rows = apply(document.getModel(), model, symbol_table(model.flat), treatment)
        new.append(activity)
    return _treated(model, document, treatment, rows, {name: name for name in (*new, *(row.id for row in rows))})


def _given(model: Model, regimen: Regimen) -> Model:
    document = _sbml.read_document(model.flat, model.name)
    drug = regimen.drug
    rows: list[Parameter] = []
    ids: dict[str, str] = {}
    wires: tuple[Wire, ...] = ()
    earlier = [each.drug for each in model.interventions if isinstance(each, Regimen) and each.drug.name == drug.name]
    if earlier and earlier[0] != drug:
        raise DrugError(f"drug {drug.name!r} is in the model with other numbers; give one of them another name")
    instances = {**model.instances}
    if not earlier:
        put = put_drug(document.getModel(), model, symbol_table(model.flat), drug)
        rows, ids, wires = [*put.parameters], {**put.ids}, put.wires
        instances[drug.name] = drug.structure.name
    doses = put_doses(document.getModel(), model, regimen)
    ids |= {row.id: row.id for row in doses}
    ids |= {row.id.replace("__", ".", 1): row.id for row in doses if row.id.startswith(f"{drug.name}__")}
    return replace(_treated(model, document, regimen, [*rows, *doses], ids, wires), instances=instances)


def _treated(
    model: Model,
    document: libsbml.SBMLDocument,
    treatment: Treatment,
    rows: list[Parameter],
    ids: dict[str, str],
    wires: tuple[Wire, ...] = (),
) -> Model:
    return replace(
        model,
        flat=_sbml.write_document(document),
        hierarchical=None,
        parameters=(*model.parameters, *rows),
        ids={**model.ids, **ids},
        wiring=(*model.wiring, *wires),
        interventions=(*model.interventions, treatment),
    )
