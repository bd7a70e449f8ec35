"""Holds a study's prose to its own tables: every number of its answer must be quoted from them."""
import re


def tables_of(text):
    """Of a study's text: {heading: {row: {column: cell}}}, each table under the heading above it."""
    tables, heading, columns = {}, None, None
    for line in text.splitlines():
        if line.startswith("### "):
            heading, columns = line[4:], None
        elif line.startswith("|") and heading:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if columns is None:
                columns = cells[1:]
                tables[heading] = {}
            elif not set(line) <= set("|-:"):
                tables[heading][cells[0]] = dict(zip(columns, cells[1:]))
    return tables


def check(answer, quotes, names):
    """What is wrong: quotes that the answer lacks, and numbers in it that no quote covers. `names`:
    words with digits that are no numbers ("h:0")."""
    rest = " ".join(answer.split())
    wrong = []
    for quote in quotes:
        if quote not in rest:
            wrong.append(f"the tables say '{quote}'; the text does not")
        rest = rest.replace(quote, "")
    for name in names:
        rest = rest.replace(name, "")
    wrong += [f"'{number}' is quoted from no table"
              for number in re.findall(r"\S*\d\S*", rest)]
    return wrong
