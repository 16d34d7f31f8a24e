/* One line of the log: put together in a room of its own, then given to the writer in one call. */

#include "fields.h"

enum { MOST_DATA_BYTES = 4096, ROOM_BYTES = 2 * MOST_DATA_BYTES, ROOM_BEHIND_NUMBER = 512, NS_PER_MS = 1000000, NS_PER_SECOND = 1000000000 };

typedef struct {
    PyObject *run, *recorder, *writer, *now; /* owned */
    long long now_ns;
    Py_ssize_t data; /* so many bytes of the room are the line's data, which is made first; the rest goes before it */
    Py_ssize_t used;
    char room[ROOM_BYTES];
} Line;

static int open_line(Line *line, PyObject *place)
{
    line->data = line->used = 0;
    line->writer = line->now = line->recorder = NULL;
    line->run = get(place, SCOPE_RUN);
    if (line->run)
        line->recorder = get(line->run, RUN_RECORDER);
    return line->recorder ? DONE : FAILED;
}

static void close_line(Line *line)
{
    Py_XDECREF(line->run);
    Py_XDECREF(line->recorder);
    Py_XDECREF(line->writer);
    Py_XDECREF(line->now);
}

static int put(Line *line, const char *text, Py_ssize_t length)
{
    if (length > ROOM_BYTES - line->used)
        return UNUSUAL;
    memcpy(line->room + line->used, text, (size_t)length);
    line->used += length;
    return DONE;
}

#define PUT(line, literal) put(line, literal, (Py_ssize_t)sizeof(literal) - 1)

static int put_text(Line *line, PyObject *text)
{
    Py_ssize_t length;
    if (!PyUnicode_CheckExact(text))
        return UNUSUAL;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
    return bytes ? put(line, bytes, length) : FAILED;
}

static int put_field(Line *line, PyObject *owner, Field field)
{
    PyObject *text = get(owner, field);
    if (!text)
        return FAILED;
    int outcome = put_text(line, text);
    Py_DECREF(text);
    return outcome;
}

static int put_number(Line *line, long long number, int digits)
{
    char text[24], *at = text + sizeof text;
    int negative = number < 0;
    unsigned long long rest = negative ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (--digits > 0 || rest);
    if (negative)
        *--at = '-';
    return put(line, at, text + sizeof text - at);
}

static int get_number(PyObject *owner, Field field, long long *number)
{
    PyObject *value = get(owner, field);
    if (!value)
        return FAILED;
    *number = PyLong_AsLongLong(value);
    Py_DECREF(value);
    return *number == -1 && PyErr_Occurred() ? FAILED : DONE;
}

/* Keep the text since `start` in a field. */
static int keep_text(const Line *line, Py_ssize_t start, PyObject *owner, Field field)
{
    PyObject *text = PyUnicode_DecodeUTF8(line->room + start, line->used - start, NULL);
    if (text)
        set(owner, field, text);
    return text ? DONE : FAILED;
}

/* Look at the clock. */
static int read_clock(Line *line)
{
    PyObject *clock = get(line->recorder, RECORDER_NOW);
    if (!clock)
        return FAILED;
    line->now = PyObject_CallNoArgs(clock);
    Py_DECREF(clock);
    if (!line->now)
        return FAILED;
    line->now_ns = PyLong_AsLongLong(line->now);
    return line->now_ns == -1 && PyErr_Occurred() ? FAILED : DONE;
}

/* Put the text of a second and the microseconds behind it; UNUSUAL where the time lies outside of it. */
static int put_moment(Line *line, PyObject *second)
{
    if (!PyTuple_CheckExact(second) || PyTuple_GET_SIZE(second) != 2)
        return UNUSUAL;
    long long began = PyLong_AsLongLong(PyTuple_GET_ITEM(second, 0));
    if (began == -1 && PyErr_Occurred())
        return FAILED;
    long long past = line->now_ns - began;
    if (past < 0 || past >= NS_PER_SECOND)
        return UNUSUAL;
    TRY(put_text(line, PyTuple_GET_ITEM(second, 1)));
    TRY(put_number(line, past / 1000, 6));
    return PUT(line, "Z");
}

static int put_timestamp(Line *line)
{
    PyObject *stamper = get(line->recorder, RECORDER_STAMPER);
    PyObject *second = stamper ? get(stamper, STAMPER_SECOND) : NULL;
    int outcome = second ? put_moment(line, second) : FAILED;
    if (outcome == UNUSUAL) {
        Py_SETREF(second, PyObject_CallMethodOneArg(stamper, word_advance, line->now));
        outcome = second ? put_moment(line, second) : FAILED;
    }
    Py_XDECREF(second);
    Py_XDECREF(stamper);
    return outcome;
}

/* Take the next number of the writer. What is unusual must be known before: there is room for what comes behind. */
static int take_number(Line *line, long long *number)
{
    if (line->used > ROOM_BYTES - ROOM_BEHIND_NUMBER)
        return UNUSUAL;
    line->writer = get(line->recorder, RECORDER_WRITER);
    PyObject *next = line->writer ? get(line->writer, WRITER_NEXT_SEQ) : NULL;
    PyObject *taken = next ? PyObject_CallNoArgs(next) : NULL;
    Py_XDECREF(next);
    if (!taken)
        return FAILED;
    *number = PyLong_AsLongLong(taken);
    Py_DECREF(taken);
    return *number == -1 && PyErr_Occurred() ? FAILED : DONE;
}

static PyObject *take_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *kind, *error, *traceback;
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    if (traceback)
        PyException_SetTraceback(error, traceback);
    Py_XDECREF(kind);
    Py_XDECREF(traceback);
    return error;
#endif
}

/* Once a number is taken, nothing may be done over. */
static int numbered(int outcome)
{
    if (outcome == UNUSUAL)
        PyErr_SetString(PyExc_ValueError, "a line has parts that are not expected in it");
    return outcome == DONE ? DONE : FAILED;
}

/* Append the line, ended so. What the segment does not take goes to the writer's rescue. */
static int append(Line *line, const char *end)
{
    Py_ssize_t head = line->used - line->data, tail = (Py_ssize_t)strlen(end);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, line->used + tail);
    if (!bytes)
        return FAILED;
    char *at = PyBytes_AS_STRING(bytes);
    memcpy(at, line->room + line->data, (size_t)head);
    memcpy(at + head, line->room, (size_t)line->data);
    memcpy(at + line->used, end, (size_t)tail);
    PyObject *write = get(line->writer, WRITER_WRITE);
    PyObject *done = write ? PyObject_CallOneArg(write, bytes) : NULL;
    if (!done && write && (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_OSError))) {
        PyObject *error = take_error();
        done = PyObject_CallFunctionObjArgs(py.refused, line->writer, bytes, error, NULL);
        Py_DECREF(error);
    }
    Py_XDECREF(write);
    Py_DECREF(bytes);
    Py_XDECREF(done);
    return done ? DONE : FAILED;
}
