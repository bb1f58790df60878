# SPDX-License-Identifier: Apache-2.0
# How are messages written down one behind another? The twin of `_reference_tape.py`, which says what for.

from array import array
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_CheckExact
from libc.stdlib cimport free

cdef enum:
    SHORTEST_KEPT = 16


cdef class Tape:
    """Messages that were taken since the last cut."""

    cdef object _begun, _full
    cdef Py_buffer _view
    cdef bint _is_loaded
    cdef unsigned char* _octets
    cdef Py_ssize_t _size, _start, _place
    cdef int _most, _count, _batches
    cdef unsigned int* _ends
    cdef unsigned int* _firsts
    cdef double* _times
    cdef unsigned char* _ways
    cdef list _flows

    def __cinit__(self, begun, full, int most):
        self._begun, self._full, self._most = begun, full, most
        self._flows = []
        self._ends = <unsigned int*>malloc(most * sizeof(unsigned int))
        self._firsts = <unsigned int*>malloc(most * sizeof(unsigned int))
        self._times = <double*>malloc(most * sizeof(double))
        self._ways = <unsigned char*>malloc(most)
        if self._ends == NULL or self._firsts == NULL or self._times == NULL or self._ways == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._is_loaded:
            PyBuffer_Release(&self._view)
        free(self._ends)
        free(self._firsts)
        free(self._times)
        free(self._ways)

    def __len__(self):
        return self._count

    @property
    def room(self):
        """Octets that are left of the memory."""
        return self._size - self._place

    def load(self, memory not None):
        """Write here from now on, from the first octet. Nothing may wait to be cut."""
        if self._is_loaded:
            self._is_loaded = False
            PyBuffer_Release(&self._view)
        self._octets, self._size, self._start, self._place = NULL, 0, 0, 0
        PyObject_GetBuffer(memory, &self._view, PyBUF_WRITABLE)
        self._is_loaded = True
        self._octets, self._size = <unsigned char*>self._view.buf, self._view.len

    def take(self, bint sent, batch, double now):
        """All messages of a batch, keep-alives apart: 0.1 us a message; the reference 1."""
        cdef bint is_begun = False
        cdef Py_ssize_t size
        for data, flow in batch:
            if not PyBytes_CheckExact(data):
                data = bytes(data)
            size = PyBytes_GET_SIZE(data)
            if size < SHORTEST_KEPT:
                continue
            if self._count >= self._most or size > self._size - self._place:
                self._full(size)
                is_begun = False
                if self._count >= self._most or size > self._size - self._place:
                    continue
            if not is_begun:
                is_begun = True
                if self._count == 0:
                    self._begun()
                self._firsts[self._batches] = self._count
                self._times[self._batches] = now
                self._ways[self._batches] = sent
                self._batches += 1
            memcpy(self._octets + self._place, PyBytes_AS_STRING(data), size)
            self._place += size
            self._ends[self._count] = <unsigned int>self._place
            self._flows.append(flow)
            self._count += 1

    def cut(self):
        """What was taken, as it lies in the memory; what follows is written behind it. None if that is nothing."""
        if self._count == 0:
            return None
        piece = (
            self._start,
            array("I", PyBytes_FromStringAndSize(<char*>self._ends, self._count * sizeof(unsigned int))),
            self._flows,
            array("I", PyBytes_FromStringAndSize(<char*>self._firsts, self._batches * sizeof(unsigned int))),
            array("d", PyBytes_FromStringAndSize(<char*>self._times, self._batches * sizeof(double))),
            PyBytes_FromStringAndSize(<char*>self._ways, self._batches),
        )
        self._start, self._count, self._batches, self._flows = self._place, 0, 0, []
        return piece
