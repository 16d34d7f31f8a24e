/* The hot path of recording, compiled: what a span's beginning and end and an event nearly always do.

   The Python of span.py and happening.py is the reference and says what the lines look like. Whatever is not plain
   (an odd value, an error, a payload, an unknown name) is noticed here before anything was done, and handed to it. So
   both are always there, and an installation without this module records the same lines.

   No other thread runs in here, nor a signal handler, except inside the calls of Python objects. */

#include "calls.h"

static PyMethodDef ENTER = {"__enter__", span_enter, METH_NOARGS, NULL};
static PyMethodDef LEAVE = {"__exit__", (PyCFunction)(void (*)(void))span_leave, METH_FASTCALL, NULL};
static PyMethodDef SPAN = {"span", (PyCFunction)(void (*)(void))make_span, METH_FASTCALL | METH_KEYWORDS, NULL};
static PyMethodDef EVENT = {"event", (PyCFunction)(void (*)(void))make_event, METH_FASTCALL | METH_KEYWORDS, NULL};

static const struct { const char *name; PyObject **place; } PARTS[] = {
    {"Span", &py.Span}, {"Scope", &py.Scope}, {"Work", &py.Work}, {"RunScope", &py.RunScope},
    {"Recorder", &py.Recorder}, {"JournalWriter", &py.JournalWriter}, {"Stamper", &py.Stamper},
    {"Ambient", &py.Ambient}, {"Template", &py.Template}, {"current", &py.current}, {"ambient", &py.ambient}, {"noop", &py.noop},
    {"encode_json", &py.encode_json}, {"shortest_secret", &py.shortest_secret}, {"pair_parts", &py.pair_parts}, {"enter", &py.enter},
    {"leave", &py.leave}, {"span", &py.span}, {"event", &py.event}, {"refused", &py.refused},
    {"contain", &py.contain}, {"span_doc", &py.span_doc}, {"event_doc", &py.event_doc}, {"form", &py.form},
};
enum { FORM = 4, NUMBER_OF_PARTS = sizeof PARTS / sizeof PARTS[0] };

static PyObject *install(PyObject *Py_UNUSED(module), PyObject *args, PyObject *parts)
{
    if (py.Span) /* what is known here is static: a second copy of the package, or another interpreter, does without */
        return PyErr_Format(PyExc_ImportError, "another copy of Clew or another interpreter has it already");
    if (!parts || PyTuple_GET_SIZE(args) != 0 || PyDict_GET_SIZE(parts) != NUMBER_OF_PARTS)
        return PyErr_Format(PyExc_TypeError, "install() takes %d named parts", (int)NUMBER_OF_PARTS);
    for (int i = 0; i < NUMBER_OF_PARTS; i++) {
        PyObject *part = PyDict_GetItemString(parts, PARTS[i].name);
        if (!part || ((PARTS[i].name[0] <= 'Z') && !PyType_Check(part)))
            return PyErr_Format(PyExc_TypeError, "install() needs %s", PARTS[i].name);
    }
    if (!PyDict_CheckExact(PyDict_GetItemString(parts, "pair_parts")))
        return PyErr_Format(PyExc_TypeError, "install() needs a dictionary of the parts of pairs");
    PyObject *form = PyDict_GetItemString(parts, "form");
    if (PyLong_AsLong(form) != FORM || PyErr_Occurred())
        return PyErr_Format(PyExc_ImportError, "it was built for another form of the lines, %R is wanted", form);
    for (int field = 0; field < FIELDS; field++)
        if (find_field((Field)field, parts) != DONE)
            return NULL;
    shortest_secret = PyLong_AsSsize_t(PyDict_GetItemString(parts, "shortest_secret"));
    if (shortest_secret == -1 && PyErr_Occurred())
        return NULL;
    PyObject *ambient = PyDict_GetItemString(parts, "ambient"), *type = PyDict_GetItemString(parts, "Ambient");
    if (!PyContextVar_CheckExact(PyDict_GetItemString(parts, "current")) || !PyObject_TypeCheck(ambient, (PyTypeObject *)type))
        return PyErr_Format(PyExc_TypeError, "install() got a part of another type");
    for (int i = 0; i < NUMBER_OF_PARTS; i++)
        *PARTS[i].place = Py_NewRef(PyDict_GetItemString(parts, PARTS[i].name));
    PyTypeObject *span = (PyTypeObject *)py.Span;
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
    {"quick_fields", (PyCFunction)(void (*)(void))quick_fields, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *Py_UNUSED(module))
{
    word_info = PyUnicode_InternFromString("INFO");
    word_advance = PyUnicode_InternFromString("advance");
    word_where = PyUnicode_InternFromString("where");
    word_metrics = PyUnicode_InternFromString("metrics");
    word_outputs = PyUnicode_InternFromString("outputs");
    word_make_template = PyUnicode_InternFromString("make_template");
    return word_info && word_advance && word_where && word_metrics && word_outputs && word_make_template ? 0 : -1;
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
