/* The hot path of recording, compiled: what a span's beginning and end and an event nearly always do.

   The Python of span.py and happening.py is the reference and says what the lines look like. Whatever is not plain
   (an odd value, an error, a payload, an unknown name) is noticed here before anything was done, and handed to it. So
   both are always there, and an installation without this module records the same lines.

   No other thread runs in here, nor a signal handler, except inside the calls of Python objects. */

#include "values.h"

/* --- the span ----------------------------------------------------------------------------------------------------- */

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

/* The data of `node_started`, but for its end. */
static int put_start_data(Line *line, PyObject *span, PyObject *kind)
{
    PyObject *attributes = get(span, WORK_ATTRIBUTES);
    if (!attributes)
        return FAILED;
    int outcome = put_text(line, kind);
    if (outcome == DONE && PyObject_IsTrue(attributes) == 1) {
        outcome = line->used ? PUT(line, ",\"attributes\":") : PUT(line, "\"attributes\":");
        if (outcome == DONE)
            outcome = put_dict(line, attributes);
    }
    line->data = line->used;
    Py_DECREF(attributes);
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
    PyObject *start = get(span, WORK_START);
    Py_XDECREF(start); /* the span still holds it */
    if (start != Py_None)
        return start ? UNUSUAL : FAILED;
    TRY(put_start_data(line, span, PyTuple_GET_ITEM(template, 2)));
    TRY(read_clock(line));
    TRY(put_timestamp(line));
    TRY(put_text(line, PyTuple_GET_ITEM(template, 0)));
    TRY(put_number_and_ids(line, span));
    set(span, WORK_TAIL, Py_NewRef(PyTuple_GET_ITEM(template, 1)));
    set(span, WORK_STARTED_NS, Py_NewRef(line->now));
    return DONE;
}

static int write_start(Line *line, PyObject *span)
{
    TRY(open_line(line, span));
    PyObject *name = get(span, WORK_NAME), *templates = get(line->run, RUN_TEMPLATES), *template = NULL;
    int outcome = FAILED;
    if (name && templates) {
        template = PyDict_CheckExact(templates) ? PyDict_GetItemWithError(templates, name) : NULL;
        outcome = PyErr_Occurred() ? FAILED : UNUSUAL;
    }
    if (template && PyTuple_Check(template) && PyTuple_GET_SIZE(template) == 4) {
        Py_INCREF(template);
        outcome = write_start_from(line, span, template);
        Py_DECREF(template);
    }
    Py_XDECREF(name);
    Py_XDECREF(templates);
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

/* What an end says beside the duration: nothing, or metrics alone, which many a span has. */
static int put_end_data(Line *line, PyObject *extra)
{
    if (extra == Py_None)
        return DONE;
    PyObject *pending = get(line->recorder, RECORDER_PENDING); /* notes that the Python writes behind such an end */
    int is_free = pending && PyList_CheckExact(pending) && PyList_GET_SIZE(pending) == 0;
    Py_XDECREF(pending);
    if (!is_free)
        return pending ? UNUSUAL : FAILED;
    PyObject *metrics = PyDict_CheckExact(extra) && PyDict_GET_SIZE(extra) == 1 ? PyDict_GetItemWithError(extra, word_metrics) : NULL;
    if (!metrics || !PyDict_CheckExact(metrics))
        return PyErr_Occurred() ? FAILED : UNUSUAL;
    if (!PyDict_GET_SIZE(metrics))
        return DONE;
    Py_INCREF(metrics);
    int outcome = PUT(line, ",\"metrics\":");
    if (outcome == DONE)
        outcome = put_dict(line, metrics);
    Py_DECREF(metrics);
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

/* --- functions ---------------------------------------------------------------------------------------------------- */

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

/* The part of an event's line that says where it happened. */
static int put_where(Line *line, PyObject *place)
{
    PyObject **kept = place_of(place, WORK_WHERE);
    PyObject *text = kept && *kept ? Py_NewRef(*kept) : PyObject_CallMethodNoArgs(place, word_where);
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

/* --- the module --------------------------------------------------------------------------------------------------- */

static PyMethodDef ENTER = {"__enter__", span_enter, METH_NOARGS, NULL};
static PyMethodDef LEAVE = {"__exit__", (PyCFunction)(void (*)(void))span_leave, METH_FASTCALL, NULL};
static PyMethodDef SPAN = {"span", (PyCFunction)(void (*)(void))make_span, METH_FASTCALL | METH_KEYWORDS, NULL};
static PyMethodDef EVENT = {"event", (PyCFunction)(void (*)(void))make_event, METH_FASTCALL | METH_KEYWORDS, NULL};

static const struct { const char *name; PyObject **place; } PARTS[] = {
    {"Span", &py.Span}, {"Scope", &py.Scope}, {"Work", &py.Work}, {"RunScope", &py.RunScope},
    {"Recorder", &py.Recorder}, {"JournalWriter", &py.JournalWriter}, {"Stamper", &py.Stamper},
    {"Ambient", &py.Ambient}, {"current", &py.current}, {"ambient", &py.ambient}, {"noop", &py.noop},
    {"encode_json", &py.encode_json}, {"shortest_secret", &py.shortest_secret}, {"enter", &py.enter},
    {"leave", &py.leave}, {"span", &py.span}, {"event", &py.event}, {"refused", &py.refused},
    {"contain", &py.contain}, {"span_doc", &py.span_doc}, {"event_doc", &py.event_doc},
};
enum { NUMBER_OF_PARTS = sizeof PARTS / sizeof PARTS[0] };

static PyObject *install(PyObject *Py_UNUSED(module), PyObject *args, PyObject *parts)
{
    if (!parts || PyTuple_GET_SIZE(args) != 0 || PyDict_GET_SIZE(parts) != NUMBER_OF_PARTS)
        return PyErr_Format(PyExc_TypeError, "install() takes %d named parts", (int)NUMBER_OF_PARTS);
    for (int i = 0; i < NUMBER_OF_PARTS; i++) {
        PyObject *part = PyDict_GetItemString(parts, PARTS[i].name);
        if (!part || ((PARTS[i].name[0] <= 'Z') && !PyType_Check(part)))
            return PyErr_Format(PyExc_TypeError, "install() needs %s", PARTS[i].name);
        Py_XSETREF(*PARTS[i].place, Py_NewRef(part));
    }
    for (int field = 0; field < FIELDS; field++)
        if (find_field((Field)field, parts) != DONE)
            return NULL;
    shortest_secret = PyLong_AsSsize_t(py.shortest_secret);
    if (shortest_secret == -1 && PyErr_Occurred())
        return NULL;
    PyTypeObject *span = (PyTypeObject *)py.Span;
    if (!PyContextVar_CheckExact(py.current) || !PyObject_TypeCheck(py.ambient, (PyTypeObject *)py.Ambient))
        return PyErr_Format(PyExc_TypeError, "install() got a part of another type");
    SPAN.ml_doc = PyUnicode_AsUTF8(py.span_doc);
    EVENT.ml_doc = PyUnicode_AsUTF8(py.event_doc);
    PyObject *where = SPAN.ml_doc && EVENT.ml_doc ? PyUnicode_FromString("clew.record.hot") : NULL;
    PyObject *made = !where ? NULL : Py_BuildValue(
        "(NNNN)", PyDescr_NewMethod(span, &ENTER), PyDescr_NewMethod(span, &LEAVE),
        PyCFunction_NewEx(&SPAN, NULL, where), PyCFunction_NewEx(&EVENT, NULL, where));
    Py_XDECREF(where);
    return made;
}

static PyMethodDef FUNCTIONS[] = {
    {"install", (PyCFunction)(void (*)(void))install, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *Py_UNUSED(module))
{
    word_info = PyUnicode_InternFromString("INFO");
    word_advance = PyUnicode_InternFromString("advance");
    word_where = PyUnicode_InternFromString("where");
    word_metrics = PyUnicode_InternFromString("metrics");
    return word_info && word_advance && word_where && word_metrics ? 0 : -1;
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, prepare},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* what it knows is static */
#endif
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "clew.record._hotpath", .m_methods = FUNCTIONS, .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__hotpath(void) { return PyModuleDef_Init(&MODULE); }
