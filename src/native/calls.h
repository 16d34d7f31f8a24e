/* What programs call: a new span, an event. */

#include "spans.h"

static int names_one_of(PyObject *names, const char *one, const char *other)
{
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_CompareWithASCIIString(name, one) == 0 || PyUnicode_CompareWithASCIIString(name, other) == 0)
            return 1;
    }
    return 0;
}

static int is_plain_call(PyObject *const *args, Py_ssize_t count, PyObject *names, const char *one, const char *other)
{
    return count == 1 && PyUnicode_CheckExact(args[0]) && !names_one_of(names, one, other);
}

/* Whether there is neither a run of this process nor one that it was started from. */
static int is_outside(void)
{
    PyObject **runs = place_of(py.ambient, AMBIENT_RUNS), **inherited = place_of(py.ambient, AMBIENT_INHERITED);
    return *inherited == Py_None && PyList_CheckExact(*runs) && PyList_GET_SIZE(*runs) == 0;
}

static PyObject *dict_of_arguments(PyObject *const *values, PyObject *names)
{
    PyObject *made = PyDict_New();
    for (Py_ssize_t i = 0; made && names && i < PyTuple_GET_SIZE(names); i++)
        if (PyDict_SetItem(made, PyTuple_GET_ITEM(names, i), values[i]) < 0)
            Py_CLEAR(made);
    return made;
}

static PyObject *new_span(PyObject *run, PyObject *parent, PyObject *name, PyObject *attributes)
{
    PyTypeObject *type = (PyTypeObject *)py.Span;
    PyObject *made = attributes ? type->tp_alloc(type, 0) : NULL;
    if (!made) {
        Py_XDECREF(attributes);
        return NULL;
    }
    set(made, SCOPE_RUN, Py_NewRef(run));
    set(made, WORK_NAME, Py_NewRef(name));
    set(made, WORK_ATTRIBUTES, attributes);
    set(made, WORK_PARENT, Py_NewRef(parent));
    set(made, WORK_OUTER, Py_NewRef(parent));
    set(made, WORK_START, Py_NewRef(Py_None));
    set(made, WORK_EXTRA, Py_NewRef(Py_None));
    return made;
}

static PyObject *make_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *parent = NULL, *run = NULL, *sampled = NULL, *made = NULL;
    if (!is_plain_call(args, count, names, "kind", "kind"))
        return PyObject_Vectorcall(py.span, args, (size_t)count, names);
    if (PyContextVar_Get(py.current, NULL, &parent) < 0)
        return NULL;
    if (parent != Py_None) {
        run = get(parent, SCOPE_RUN);
        sampled = run ? get(run, RUN_SAMPLED) : NULL;
        if (sampled == Py_True)
            made = new_span(run, parent, args[0], dict_of_arguments(args + 1, names));
        else if (sampled)
            made = Py_NewRef(py.noop);
    }
    else
        made = is_outside() ? Py_NewRef(py.noop) : PyObject_Vectorcall(py.span, args, (size_t)count, names);
    Py_DECREF(parent);
    Py_XDECREF(run);
    Py_XDECREF(sampled);
    return made;
}

/* Make the part of an event's line that says where it happened, and keep it in the span. */
static int make_where(Line *line, PyObject *span)
{
    PyObject *name = get(span, WORK_NAME), *template = name ? template_of(line, name) : NULL;
    PyObject *id = template && PyTuple_Check(template) && PyTuple_GET_SIZE(template) == 4 ? get(span, SCOPE_SPAN_ID) : NULL;
    PyObject *where = id ? PyUnicode_Concat(PyTuple_GET_ITEM(template, 3), id) : NULL;
    if (where)
        set(span, WORK_WHERE, where);
    Py_XDECREF(name);
    Py_XDECREF(template);
    Py_XDECREF(id);
    return where ? DONE : PyErr_Occurred() ? FAILED : UNUSUAL;
}

/* The part of an event's line that says where it happened. */
static int put_where(Line *line, PyObject *place)
{
    PyObject **kept = place_of(place, WORK_WHERE);
    if (kept && !*kept)
        TRY(make_where(line, place));
    PyObject *text = kept ? Py_XNewRef(*kept) : PyObject_CallMethodNoArgs(place, word_where);
    int outcome = text ? put_text(line, text) : FAILED;
    Py_XDECREF(text);
    return outcome;
}

/* Find the part that is the same for all events of a name; UNUSUAL where it was not made yet. */
static int find_event_head(Line *line, PyObject *name, PyObject **head)
{
    PyObject *events = get(line->run, RUN_EVENTS), *key = events ? PyTuple_Pack(2, name, word_info) : NULL;
    if (key && PyDict_CheckExact(events))
        *head = Py_XNewRef(PyDict_GetItemWithError(events, key));
    Py_XDECREF(events);
    Py_XDECREF(key);
    return *head ? DONE : PyErr_Occurred() ? FAILED : UNUSUAL;
}

static int write_event_behind(Line *line, PyObject *place, PyObject *head)
{
    long long number;
    TRY(read_clock(line));
    TRY(put_timestamp(line));
    TRY(put_text(line, head));
    TRY(put_where(line, place));
    TRY(put_field(line, line->recorder, RECORDER_WRITER_PART));
    TRY(take_number(line, &number));
    TRY(numbered(put_number(line, number, 0)));
    TRY(numbered(PUT(line, ",\"data\":")));
    return append(line, "}\n");
}

static int write_event(Line *line, PyObject *place, PyObject *const *args, PyObject *names)
{
    TRY(open_line(line, place));
    PyObject *sampled = get(line->run, RUN_SAMPLED), *head = NULL;
    Py_XDECREF(sampled);
    if (sampled != Py_True)
        return sampled ? UNUSUAL : FAILED;
    TRY(put_arguments(line, args + 1, names));
    line->data = line->used;
    int outcome = find_event_head(line, args[0], &head);
    if (outcome == DONE)
        outcome = write_event_behind(line, place, head);
    Py_XDECREF(head);
    return outcome;
}

static PyObject *make_event(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *place = NULL;
    Line line;
    if (!is_plain_call(args, count, names, "level", "node"))
        return PyObject_Vectorcall(py.event, args, (size_t)count, names);
    if (PyContextVar_Get(py.current, NULL, &place) < 0)
        return NULL;
    int outcome = UNUSUAL;
    if (place != Py_None) {
        outcome = write_event(&line, place, args, names);
        close_line(&line);
        if (outcome == FAILED)
            outcome = contain(place, take_error());
    }
    Py_DECREF(place);
    if (outcome == UNUSUAL)
        return PyObject_Vectorcall(py.event, args, (size_t)count, names);
    if (outcome == FAILED)
        return NULL;
    Py_RETURN_NONE;
}

/* `quick_fields`: plain values as JSON text, or None where anything about them needs a closer look. */
static PyObject *quick_fields(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Line line = {.recorder = count == 2 ? Py_NewRef(args[1]) : NULL};
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "quick_fields() takes 2 arguments, not %zd", count);
    int outcome = put_dict(&line, args[0]);
    PyObject *text = NULL;
    if (outcome == DONE)
        text = PyUnicode_DecodeUTF8(line.room, line.used, NULL);
    else if (outcome == UNUSUAL)
        text = Py_NewRef(Py_None);
    close_line(&line);
    return text;
}
