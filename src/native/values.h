/* The user's values as JSON text: plain ones here, anything else is UNUSUAL. */

#include "line.h"

enum { MOST_DEPTH = 8 };

/* Whether a text is its own JSON: ASCII without quotes, backslashes and control characters. */
static int is_plain(PyObject *text)
{
    if (!PyUnicode_IS_COMPACT_ASCII(text))
        return 0;
    const unsigned char *at = PyUnicode_1BYTE_DATA(text), *end = at + PyUnicode_GET_LENGTH(text);
    for (; at < end; at++)
        if (*at < 0x20 || *at == '"' || *at == '\\' || *at == 0x7f)
            return 0;
    return 1;
}

static int put_encoded(Line *line, PyObject *value)
{
    PyObject *bytes = PyObject_CallOneArg(py.encode_json, value);
    if (!bytes) { /* a lone surrogate, a huge number; no Python code ran, so it is no signal handler's error */
        PyErr_Clear();
        return UNUSUAL;
    }
    int outcome = put(line, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return outcome;
}

static int put_string(Line *line, PyObject *text)
{
    if (!is_plain(text))
        return put_encoded(line, text);
    TRY(PUT(line, "\""));
    TRY(put(line, (const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text)));
    return PUT(line, "\"");
}

/* Whether a text holds no secret. Runs Python code. */
static int is_clean(PyObject *recorder, PyObject *text)
{
    PyObject *clean = get(recorder, RECORDER_CLEAN);
    PyObject *found = clean ? PyObject_CallOneArg(clean, text) : NULL;
    Py_XDECREF(clean);
    if (!found)
        return FAILED;
    int outcome = UNUSUAL;
    if (PyTuple_Check(found) && PyTuple_GET_SIZE(found) == 2)
        outcome = PyObject_Not(PyTuple_GET_ITEM(found, 1)) == 1 ? DONE : UNUSUAL;
    Py_DECREF(found);
    return outcome;
}

static int put_value(Line *line, PyObject *value, int depth);

enum { NAMING = 1, HOLDING = 2 }; /* as in plain.py: a field may name the secret that another one holds */

/* What a field with a known name is of such a pair. */
static int part_of_pair(PyObject *name, PyObject *value)
{
    PyObject *part = PyDict_GetItemWithError(py.pair_parts, name); /* borrowed */
    int which = part ? (int)PyLong_AsLong(part) : 0;
    if (PyUnicode_CheckExact(value) || (which == HOLDING && (PyList_CheckExact(value) || PyDict_CheckExact(value))))
        return which;
    return 0;
}

/* One field of an object, with the comma or the brace before it. */
static int put_member(Line *line, PyObject *known, PyObject *name, PyObject *value, int is_first, int depth, int *parts)
{
    if (!PyUnicode_CheckExact(name) || PySet_Contains(known, name) != 1 || !is_plain(name)) {
        PyErr_Clear();
        return UNUSUAL;
    }
    *parts |= part_of_pair(name, value);
    if (*parts == (NAMING | HOLDING))
        return UNUSUAL;
    TRY(is_first ? PUT(line, "{") : PUT(line, ","));
    TRY(put_string(line, name));
    TRY(PUT(line, ":"));
    return put_value(line, value, depth);
}

/* An object whose names are known to hold no secrets. */
static int put_object(Line *line, PyObject *values, int depth)
{
    PyObject *known = get(line->recorder, RECORDER_PLAIN_NAMES), *name, *value;
    if (!known)
        return FAILED;
    Py_ssize_t position = 0, size = PyDict_GET_SIZE(values);
    int outcome = PySet_Check(known) ? DONE : UNUSUAL, parts = 0;
    for (int first = 1; outcome == DONE && PyDict_Next(values, &position, &name, &value); first = 0) {
        Py_INCREF(name);
        Py_INCREF(value);
        outcome = put_member(line, known, name, value, first, depth, &parts);
        Py_DECREF(name);
        Py_DECREF(value);
        if (PyDict_GET_SIZE(values) != size) /* another thread added one */
            outcome = outcome == FAILED ? FAILED : UNUSUAL;
    }
    Py_DECREF(known);
    if (outcome == DONE)
        outcome = size ? PUT(line, "}") : PUT(line, "{}");
    return outcome;
}

/* Whether a list may be the name of a secret and the secret, as headers come: [["X-Api-Key", "..."]]. */
static int is_pair(PyObject *value)
{
    return PyList_CheckExact(value) && PyList_GET_SIZE(value) == 2 && PyUnicode_CheckExact(PyList_GET_ITEM(value, 0))
        && PyUnicode_CheckExact(PyList_GET_ITEM(value, 1));
}

/* A list; what begins with a dash may be the name of a secret that comes next. */
static int put_list(Line *line, PyObject *values, int depth)
{
    TRY(PUT(line, "["));
    int outcome = DONE;
    for (Py_ssize_t i = 0; outcome == DONE && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i));
        if (i)
            outcome = PUT(line, ",");
        if (PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) && PyUnicode_READ_CHAR(value, 0) == '-')
            outcome = UNUSUAL;
        if (is_pair(value))
            outcome = UNUSUAL;
        if (outcome == DONE)
            outcome = put_value(line, value, depth);
        Py_DECREF(value);
    }
    return outcome == DONE ? PUT(line, "]") : outcome;
}

static int put_text_value(Line *line, PyObject *text)
{
    if (PyUnicode_GET_LENGTH(text) > MOST_DATA_BYTES)
        return UNUSUAL; /* before it is searched, which takes long */
    if (PyUnicode_GET_LENGTH(text) >= shortest_secret)
        TRY(is_clean(line->recorder, text));
    return put_string(line, text);
}

static int put_value(Line *line, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value))
        return put_text_value(line, value);
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? UNUSUAL : put_number(line, number, 0);
    }
    if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        return number - number != 0 ? UNUSUAL : put_encoded(line, value);
    }
    if (value == Py_None)
        return PUT(line, "null");
    if (value == Py_True)
        return PUT(line, "true");
    if (value == Py_False)
        return PUT(line, "false");
    if (depth == MOST_DEPTH)
        return UNUSUAL;
    if (PyDict_CheckExact(value))
        return put_object(line, value, depth + 1);
    return PyList_CheckExact(value) ? put_list(line, value, depth + 1) : UNUSUAL;
}

/* Whether what was put since `start` is short enough for a line. */
static int is_short(Line *line, Py_ssize_t start)
{
    long long most;
    TRY(get_number(line->recorder, RECORDER_QUICK_BYTES, &most));
    return line->used - start > most ? UNUSUAL : DONE;
}

/* A field of an object that is begun elsewhere, behind a comma unless it is the first. */
static int put_field_of(Line *line, PyObject *known, PyObject *name, PyObject *value)
{
    if (!PyUnicode_CheckExact(name) || PySet_Contains(known, name) != 1 || !is_plain(name)) {
        PyErr_Clear();
        return UNUSUAL;
    }
    if (line->used)
        TRY(PUT(line, ","));
    TRY(put_string(line, name));
    TRY(PUT(line, ":"));
    return put_value(line, value, 0);
}

static int captures_whole(Line *line)
{
    PyObject *whole = get(line->recorder, RECORDER_CAPTURES_WHOLE);
    Py_XDECREF(whole); /* True and False are for ever */
    PyErr_Clear();
    return whole == Py_True;
}

/* Attributes as a JSON object, as `quick_fields` has it. */
static int put_dict(Line *line, PyObject *values)
{
    Py_ssize_t start = line->used;
    if (!PyDict_CheckExact(values))
        return UNUSUAL;
    TRY(put_object(line, values, 0));
    return is_short(line, start);
}

/* The same, of the named arguments of a call. */
static int put_arguments(Line *line, PyObject *const *values, PyObject *names)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0, start = line->used;
    if (!count)
        return PUT(line, "{}");
    PyObject *known = get(line->recorder, RECORDER_PLAIN_NAMES);
    if (!known)
        return FAILED;
    int outcome = PySet_Check(known) ? DONE : UNUSUAL, parts = 0;
    for (Py_ssize_t i = 0; outcome == DONE && i < count; i++)
        outcome = put_member(line, known, PyTuple_GET_ITEM(names, i), values[i], i == 0, 0, &parts);
    Py_DECREF(known);
    TRY(outcome);
    TRY(PUT(line, "}"));
    return is_short(line, start);
}
