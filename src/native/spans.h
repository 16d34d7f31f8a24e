/* A span: its beginning and its end. */

#include "values.h"

enum { MOST_NAME_CHARS = 1000, MOST_TEMPLATES = 4096 };

/* Note an error of ours and let go of it: it ends here, unless the program's signal handler raised it. */
static int contain(PyObject *place, PyObject *error)
{
    PyObject *done = PyObject_CallFunctionObjArgs(py.contain, place, error, NULL);
    Py_XDECREF(error);
    Py_XDECREF(done);
    return done ? DONE : FAILED;
}

static int make_current(PyObject *place)
{
    PyObject *token = PyContextVar_Set(py.current, place);
    Py_XDECREF(token);
    return token ? DONE : FAILED;
}

/* Further fields of `node_started`, such as inputs, where payloads are kept whole. */
static int put_start_fields(Line *line, PyObject *start)
{
    if (start == Py_None)
        return DONE;
    if (!PyDict_CheckExact(start) || !captures_whole(line))
        return UNUSUAL;
    PyObject *known = get(line->recorder, RECORDER_PLAIN_NAMES), *name, *value;
    if (!known)
        return FAILED;
    Py_ssize_t position = 0, size = PyDict_GET_SIZE(start), began = line->used;
    int outcome = PySet_Check(known) ? DONE : UNUSUAL;
    while (outcome == DONE && PyDict_Next(start, &position, &name, &value)) {
        if (value == Py_None)
            continue;
        Py_INCREF(name);
        Py_INCREF(value);
        outcome = put_field_of(line, known, name, value);
        Py_DECREF(name);
        Py_DECREF(value);
        if (PyDict_GET_SIZE(start) != size)
            outcome = outcome == FAILED ? FAILED : UNUSUAL;
    }
    Py_DECREF(known);
    return outcome == DONE ? is_short(line, began) : outcome;
}

/* The data of `node_started`, but for its end. */
static int put_start_data(Line *line, PyObject *span, PyObject *kind)
{
    PyObject *attributes = get(span, WORK_ATTRIBUTES), *start = attributes ? get(span, WORK_START) : NULL;
    int outcome = start ? put_text(line, kind) : FAILED;
    if (outcome == DONE && PyObject_IsTrue(attributes) == 1) {
        outcome = line->used ? PUT(line, ",\"attributes\":") : PUT(line, "\"attributes\":");
        if (outcome == DONE)
            outcome = put_dict(line, attributes);
    }
    if (outcome == DONE)
        outcome = put_start_fields(line, start);
    line->data = line->used;
    Py_XDECREF(attributes);
    Py_XDECREF(start);
    return outcome;
}

/* Put the span's id, its parent's and the writer, and keep them for the end. */
static int put_ids(Line *line, PyObject *span, PyObject *parent, long long id)
{
    Py_ssize_t start = line->used;
    TRY(put_field(line, line->recorder, RECORDER_SPAN_PREFIX));
    TRY(put_number(line, id, 0));
    TRY(keep_text(line, start, span, SCOPE_SPAN_ID));
    TRY(PUT(line, "\",\"parent_id\":\""));
    TRY(put_field(line, parent, SCOPE_SPAN_ID));
    TRY(put_field(line, line->recorder, RECORDER_WRITER_PART));
    return keep_text(line, start, span, WORK_IDS);
}

/* Take a number, and make the span's own id of it. */
static int put_number_and_ids(Line *line, PyObject *span)
{
    long long first, number;
    TRY(get_number(line->recorder, RECORDER_FIRST_SPAN, &first));
    TRY(take_number(line, &number));
    PyObject *parent = get(span, WORK_PARENT);
    int outcome = parent ? put_ids(line, span, parent, first + number) : FAILED;
    Py_XDECREF(parent);
    if (outcome == DONE)
        outcome = put_number(line, number, 0);
    return numbered(outcome);
}

static int write_start_from(Line *line, PyObject *span, PyObject *template)
{
    TRY(put_start_data(line, span, PyTuple_GET_ITEM(template, 2)));
    TRY(read_clock(line));
    TRY(put_timestamp(line));
    TRY(put_text(line, PyTuple_GET_ITEM(template, 0)));
    TRY(put_number_and_ids(line, span));
    set(span, WORK_TAIL, Py_NewRef(PyTuple_GET_ITEM(template, 1)));
    set(span, WORK_STARTED_NS, Py_NewRef(line->now));
    return DONE;
}

/* Whether a name stands in a line as it is: plain, short, and without a secret. */
static int is_plain_name(Line *line, PyObject *name)
{
    if (!PyUnicode_CheckExact(name) || PyUnicode_GET_LENGTH(name) > MOST_NAME_CHARS || !is_plain(name))
        return UNUSUAL;
    return PyUnicode_GET_LENGTH(name) < shortest_secret ? DONE : is_clean(line->recorder, name);
}

/* As `make_template` of the recorder makes it: a new reference, or NULL with an exception. */
static PyObject *plain_template(PyObject *run_id, PyObject *node, PyObject *kind)
{
    static const char boundary[] = "\",\"run_id\":\"%U\",\"event\":\"node_%s\",\"level\":\"INFO\",\"node_id\":\"%U\",\"span_id\":\"";
    PyObject *parts = Py_BuildValue(
        "((NNNN))", PyUnicode_FromFormat(boundary, run_id, "started", node),
        PyUnicode_FromFormat(boundary, run_id, "completed", node),
        kind ? PyUnicode_FromFormat("\"type\":\"%U\"", kind) : PyUnicode_FromString(""),
        PyUnicode_FromFormat("\",\"node_id\":\"%U\",\"span_id\":\"", node));
    PyObject *template = parts ? PyTuple_Type.tp_new((PyTypeObject *)py.Template, parts, NULL) : NULL;
    Py_XDECREF(parts);
    return template;
}

/* Make the template of a node that is new, and keep it for the run. NULL without an exception: Python must make it. */
static PyObject *new_template(Line *line, PyObject *templates, PyObject *name)
{
    int has_kind = PyTuple_CheckExact(name) && PyTuple_GET_SIZE(name) == 2;
    PyObject *node = has_kind ? PyTuple_GET_ITEM(name, 0) : name, *kind = has_kind ? PyTuple_GET_ITEM(name, 1) : NULL;
    int outcome = PyDict_GET_SIZE(templates) < MOST_TEMPLATES ? is_plain_name(line, node) : UNUSUAL;
    if (outcome == DONE && kind)
        outcome = is_plain_name(line, kind);
    PyObject *run_id = outcome == DONE ? get(line->run, RUN_RUN_ID) : NULL;
    PyObject *template = run_id && PyUnicode_CheckExact(run_id) ? plain_template(run_id, node, kind) : NULL;
    Py_XDECREF(run_id);
    if (template && PyDict_SetItem(templates, name, template) < 0)
        Py_CLEAR(template);
    return template;
}

/* Return the fixed parts of a node's lines: a new reference, or NULL with an exception. */
static PyObject *template_of(Line *line, PyObject *name)
{
    PyObject *templates = get(line->run, RUN_TEMPLATES), *template = NULL;
    if (templates && PyDict_CheckExact(templates)) {
        template = Py_XNewRef(PyDict_GetItemWithError(templates, name));
        if (!template && !PyErr_Occurred())
            template = new_template(line, templates, name);
    }
    if (templates && !template && !PyErr_Occurred())
        template = PyObject_CallMethodObjArgs(line->recorder, word_make_template, line->run, name, NULL);
    Py_XDECREF(templates);
    return template;
}

static int write_start(Line *line, PyObject *span)
{
    TRY(open_line(line, span));
    PyObject *name = get(span, WORK_NAME), *template = name ? template_of(line, name) : NULL;
    int outcome = FAILED;
    if (template)
        outcome = PyTuple_Check(template) && PyTuple_GET_SIZE(template) == 4 ? write_start_from(line, span, template) : UNUSUAL;
    Py_XDECREF(name);
    Py_XDECREF(template);
    if (outcome != DONE)
        return outcome;
    TRY(PUT(line, ",\"data\":{"));
    return append(line, "}}\n");
}

static PyObject *span_enter(PyObject *span, PyObject *Py_UNUSED(nothing))
{
    Line line;
    int outcome = write_start(&line, span);
    close_line(&line);
    if (outcome == UNUSUAL)
        return PyObject_CallOneArg(py.enter, span);
    if (outcome == FAILED) {
        PyObject *error = take_error();
        set(span, WORK_TAIL, PyUnicode_FromString("")); /* it has no beginning, so it writes no end */
        outcome = contain(span, error);
    }
    if (outcome == FAILED || make_current(span) == FAILED)
        return NULL;
    return Py_NewRef(span);
}

/* One of the two payloads that many an end has. */
static int put_end_field(Line *line, PyObject *name, PyObject *value)
{
    Py_ssize_t began = line->used;
    Py_INCREF(value);
    int outcome = PUT(line, ",\"");
    if (outcome == DONE)
        outcome = put_text(line, name);
    if (outcome == DONE)
        outcome = PUT(line, "\":");
    if (outcome == DONE)
        outcome = put_value(line, value, 0);
    Py_DECREF(value);
    return outcome == DONE ? is_short(line, began) : outcome;
}

/* What an end says beside the duration: nothing, metrics, outputs, or both. */
static int put_end_data(Line *line, PyObject *extra)
{
    if (extra == Py_None)
        return DONE;
    PyObject *pending = get(line->recorder, RECORDER_PENDING); /* notes that the Python writes behind such an end */
    int is_free = pending && PyList_CheckExact(pending) && PyList_GET_SIZE(pending) == 0;
    Py_XDECREF(pending);
    if (!is_free || !PyDict_CheckExact(extra))
        return pending ? UNUSUAL : FAILED;
    PyObject *metrics = PyDict_GetItemWithError(extra, word_metrics);
    PyObject *outputs = PyDict_GetItemWithError(extra, word_outputs);
    if (PyErr_Occurred())
        return FAILED;
    if (PyDict_GET_SIZE(extra) != (metrics != NULL) + (outputs != NULL) || (metrics && !PyDict_CheckExact(metrics)))
        return UNUSUAL;
    if (outputs && !captures_whole(line))
        return UNUSUAL;
    Py_XINCREF(outputs);
    int outcome = DONE;
    if (metrics && PyDict_GET_SIZE(metrics))
        outcome = put_end_field(line, word_metrics, metrics);
    if (outcome == DONE && outputs)
        outcome = put_end_field(line, word_outputs, outputs);
    Py_XDECREF(outputs);
    line->data = line->used;
    return outcome;
}

/* Put all of the line of an end. */
static int put_end(Line *line, PyObject *span, PyObject *tail)
{
    long long started, number;
    TRY(read_clock(line));
    TRY(get_number(span, WORK_STARTED_NS, &started));
    long long took = line->now_ns - started;
    if (took < 0)
        return UNUSUAL;
    TRY(put_timestamp(line));
    TRY(put_text(line, tail));
    TRY(put_field(line, span, WORK_IDS));
    PyObject *duration = PyLong_FromLongLong(took);
    if (!duration)
        return FAILED;
    set(span, WORK_DURATION_NS, duration);
    TRY(take_number(line, &number));
    TRY(numbered(put_number(line, number, 0)));
    TRY(numbered(PUT(line, ",\"data\":{\"duration_ms\":")));
    TRY(numbered(put_number(line, took / NS_PER_MS, 0)));
    TRY(numbered(PUT(line, ".")));
    return numbered(put_number(line, took % NS_PER_MS, 6));
}

static int write_end(Line *line, PyObject *span)
{
    TRY(open_line(line, span));
    PyObject *extra = *place_of(span, WORK_EXTRA), *tail = *place_of(span, WORK_TAIL);
    if (!extra || !tail || !PyUnicode_CheckExact(tail) || !PyUnicode_GET_LENGTH(tail))
        return UNUSUAL;
    Py_INCREF(tail);
    Py_INCREF(extra);
    int outcome = put_end_data(line, extra);
    if (outcome == DONE)
        outcome = put_end(line, span, tail);
    Py_DECREF(extra);
    Py_DECREF(tail);
    return outcome == DONE ? append(line, "}}\n") : outcome;
}

static PyObject *span_leave(PyObject *span, PyObject *const *args, Py_ssize_t count)
{
    Line line;
    int outcome = UNUSUAL;
    if (count == 3 && args[1] == Py_None) {
        outcome = write_end(&line, span);
        close_line(&line);
    }
    if (outcome == UNUSUAL) {
        PyObject *all[4] = {span, count > 0 ? args[0] : NULL, count > 1 ? args[1] : NULL, count > 2 ? args[2] : NULL};
        if (count <= 3)
            return PyObject_Vectorcall(py.leave, all, (size_t)count + 1, NULL);
        return PyErr_Format(PyExc_TypeError, "__exit__() takes 3 arguments, not %zd", count);
    }
    if (outcome == FAILED)
        outcome = contain(span, take_error());
    /* A generator may be closed from another task, whose place in the run is none of our business. Whatever an error
       of a signal handler interrupts, the place is left. */
    PyObject *error = outcome == FAILED ? take_error() : NULL, *here = NULL;
    if (PyContextVar_Get(py.current, NULL, &here) == 0 && here == span) {
        PyObject *outer = get(span, WORK_OUTER);
        if (outer)
            make_current(outer);
        Py_XDECREF(outer);
    }
    Py_XDECREF(here);
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}
