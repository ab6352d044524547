"""The templates of queries and results: ``%s %u %d %S %U %D %1 ... %9 %%``.

A template's requirements say which keys are not asked for at all; those of the query and of
``result_format`` count together.
"""

from __future__ import annotations

from dataclasses import dataclass

_DIGITS = "123456789"
_LETTERS = "sSuUdD"


@dataclass(frozen=True, slots=True)
class Template:
    """``codes[i]``, the letter or digit of an expansion, stands between texts i and i + 1."""

    texts: tuple[str, ...]
    codes: tuple[str, ...]

    @property
    def labels(self) -> int:
        """The highest digit: so many labels the key's domain must have."""
        return max((int(code) for code in self.codes if code in _DIGITS), default=0)


def parse_template(text: str) -> Template:
    """Read a template.  Raises ValueError for an expansion that there is none of."""
    texts = [""]
    codes = []
    position = 0
    while position < len(text):
        sign = text[position]
        code = text[position + 1 : position + 2]
        if sign != "%" or code == "%":
            texts[-1] += sign
            position += 1 if sign != "%" else 2
            continue
        if not code or code not in _LETTERS + _DIGITS:
            raise ValueError(
                f"%{code} is no expansion: there are %s %u %d %S %U %D, %1 to %9, and %% for a %"
            )
        codes.append(code)
        texts.append("")
        position += 2
    return Template(tuple(texts), tuple(codes))


def parts(text: str) -> tuple[str, str | None]:
    """Cut an address at its last ``@``: local part and domain, None without an ``@``."""
    local, sign, domain = text.rpartition("@")
    return (local, domain) if sign else (text, None)


def labels(domain: str) -> list[str]:
    """The labels, top level first; dots at the ends or side by side make no label."""
    return [label for label in reversed(domain.split(".")) if label]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a key needs so that it is asked for."""

    local: bool
    domain: bool
    labels: int

    def met_by(self, key: str) -> bool:
        """Whether the key has it all."""
        local, domain = parts(key)
        if self.domain and not domain:
            return False
        # Without an "@" the whole key stands for the local part.
        if self.local and not local and domain is not None:
            return False
        return len(labels(domain or "")) >= self.labels


def requirements(query: Template, result: Template) -> Requirements:
    """What both templates want of the key; the result's small letters are about the value."""
    codes = {code.lower() for code in query.codes}
    codes |= {code.lower() for code in result.codes if code not in "sud"}
    highest = max(query.labels, result.labels)
    return Requirements("u" in codes, "d" in codes or highest > 0, highest)


def of_address(code: str, address: str) -> str:
    """What an expansion of ``s u d`` (in either case) or of a digit is for an address."""
    local, domain = parts(address)
    if code in _DIGITS:
        return labels(domain or "")[int(code) - 1]
    return {"s": address, "u": local, "d": domain or ""}[code.lower()]


def format_result(template: Template, value: str, key: str) -> str | None:
    """Put a value into the result's template; None where the value lacks what it needs."""
    local, domain = parts(value)
    if not value or ("d" in template.codes and not domain):
        return None
    if "u" in template.codes and not local and domain is not None:
        return None
    pieces = [template.texts[0]]
    for code, text in zip(template.codes, template.texts[1:], strict=True):
        pieces += [of_address(code, value if code in "sud" else key), text]
    return "".join(pieces)
