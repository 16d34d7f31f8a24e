/* What the compiled hot path knows of our Python classes: their fields, read where Python keeps them, at the offset of
   a class's slot. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <string.h>

/* What a step came to. FAILED: a Python exception is set. UNUSUAL: nothing was done, and Python must do it. */
enum { DONE = 1, UNUSUAL = 0, FAILED = -1 };

#define TRY(step) do { int outcome_ = (step); if (outcome_ != DONE) return outcome_; } while (0)

typedef enum {
    SCOPE_RUN, SCOPE_SPAN_ID,
    WORK_NAME, WORK_ATTRIBUTES, WORK_PARENT, WORK_OUTER, WORK_START, WORK_EXTRA, WORK_IDS, WORK_TAIL, WORK_WHERE,
    WORK_STARTED_NS, WORK_DURATION_NS,
    RUN_RECORDER, RUN_RUN_ID, RUN_SAMPLED, RUN_TEMPLATES, RUN_EVENTS,
    RECORDER_WRITER, RECORDER_STAMPER, RECORDER_NOW, RECORDER_SPAN_PREFIX, RECORDER_FIRST_SPAN, RECORDER_WRITER_PART,
    RECORDER_PLAIN_NAMES, RECORDER_CLEAN, RECORDER_PENDING, RECORDER_QUICK_BYTES,
    RECORDER_CAPTURES_WHOLE,
    WRITER_WRITE, WRITER_NEXT_SEQ,
    STAMPER_SECOND,
    AMBIENT_RUNS, AMBIENT_INHERITED,
    FIELDS
} Field;

static const struct { const char *type, *name; } FIELD_NAMES[FIELDS] = {
    {"Scope", "run"}, {"Scope", "span_id"},
    {"Work", "_name"}, {"Work", "_attributes"}, {"Work", "_parent"}, {"Work", "_outer"}, {"Work", "_start"},
    {"Work", "_extra"}, {"Work", "_ids"}, {"Work", "_tail"}, {"Work", "_where"}, {"Work", "_started_ns"},
    {"Work", "_duration_ns"},
    {"RunScope", "recorder"}, {"RunScope", "run_id"}, {"RunScope", "sampled"}, {"RunScope", "templates"}, {"RunScope", "events"},
    {"Recorder", "writer"}, {"Recorder", "stamper"}, {"Recorder", "now"}, {"Recorder", "span_prefix"},
    {"Recorder", "first_span"}, {"Recorder", "writer_part"}, {"Recorder", "plain_names"}, {"Recorder", "clean"},
    {"Recorder", "pending"}, {"Recorder", "quick_bytes"}, {"Recorder", "captures_whole"},
    {"JournalWriter", "write"}, {"JournalWriter", "next_seq"},
    {"Stamper", "second"},
    {"Ambient", "_runs"}, {"Ambient", "inherited"},
};

static struct { PyTypeObject *type; Py_ssize_t offset; PyObject *name; } fields[FIELDS];

/* Where Python is asked. Set once, by `install`. */
static struct {
    PyObject *Span, *Scope, *Work, *RunScope, *Recorder, *JournalWriter, *Stamper, *Ambient, *Template;
    PyObject *current, *ambient, *noop, *encode_json, *shortest_secret, *pair_parts;
    PyObject *enter, *leave, *span, *event, *refused, *contain, *span_doc, *event_doc, *form;
} py;
static Py_ssize_t shortest_secret;
static PyObject *word_info, *word_advance, *word_where, *word_metrics, *word_outputs, *word_make_template;

static PyObject **place_of(PyObject *owner, Field field)
{
    if (!PyObject_TypeCheck(owner, fields[field].type))
        return NULL;
    return (PyObject **)((char *)owner + fields[field].offset);
}

/* Return a new reference, or NULL with an exception. Also serves what only looks like one of ours. */
static PyObject *get(PyObject *owner, Field field)
{
    PyObject **place = place_of(owner, field);
    return place && *place ? Py_NewRef(*place) : PyObject_GetAttr(owner, fields[field].name);
}

/* Takes over the value. The owner is one of ours. */
static void set(PyObject *owner, Field field, PyObject *value)
{
    Py_XSETREF(*place_of(owner, field), value);
}

/* Look a field up, once. */
static int find_field(Field field, PyObject *parts)
{
    const char *name = FIELD_NAMES[field].name;
    PyTypeObject *type = (PyTypeObject *)PyDict_GetItemString(parts, FIELD_NAMES[field].type);
    PyObject *slot = PyObject_GetAttrString((PyObject *)type, name);
    if (!slot)
        return FAILED;
    int is_slot = Py_IS_TYPE(slot, &PyMemberDescr_Type);
    fields[field].type = type;
    fields[field].offset = is_slot ? ((PyMemberDescrObject *)slot)->d_member->offset : 0;
    Py_XSETREF(fields[field].name, PyUnicode_InternFromString(name));
    Py_DECREF(slot);
    if (!is_slot)
        PyErr_Format(PyExc_TypeError, "%s.%s is not a slot", FIELD_NAMES[field].type, name);
    return is_slot && fields[field].name ? DONE : FAILED;
}
