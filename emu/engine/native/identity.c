/* CPUID: what Unicorn's model of a CPU tells of itself, without what it models in part.
 *
 * The translator decodes by the same words of features, so they are what `-cpu` changes.
 *
 * Source: Intel SDM volume 2, CPUID.
 */
#include "vcpu.h"

void identity_read(Vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t found[4])
{
    vcpu->library.cpuid(vcpu->env, leaf, subleaf, &found[EAX], &found[EBX], &found[ECX], &found[EDX]);
    if (leaf == 1) {
        found[ECX] &= ~(1u << 17 | 1u << 21 | 1u << 24); /* PCID, x2APIC, TSC deadline */
        if (!(vcpu->apic_base & APIC_ENABLE))
            found[EDX] &= ~(1u << 9);
    } else if (leaf == 7 && subleaf == 0)
        found[ECX] &= ~(1u << 3 | 1u << 16); /* PKU, LA57 */
    else if (leaf == 0x80000001)
        found[ECX] &= ~(1u << 2); /* SVM */
}

static void on_cpuid(Env *env)
{
    uint32_t found[4];
    identity_read(vcpu_of_env(env), (uint32_t)env->regs[RAX], (uint32_t)env->regs[RCX], found);
    env->regs[RAX] = found[EAX];
    env->regs[RBX] = found[EBX];
    env->regs[RCX] = found[ECX];
    env->regs[RDX] = found[EDX];
}

PyObject *identity_cpuid(Vcpu *vcpu, PyObject *leaf)
{
    uint32_t found[4];
    identity_read(vcpu, (uint32_t)PyLong_AsUnsignedLongMask(leaf), 0, found);
    if (PyErr_Occurred())
        return NULL;
    return Py_BuildValue("IIII", found[EAX], found[EBX], found[ECX], found[EDX]);
}

PyObject *identity_get(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    return PyBytes_FromStringAndSize((const char *)&vcpu->env->identity, sizeof(Identity));
}

PyObject *identity_set(Vcpu *vcpu, PyObject *bytes)
{
    char *data;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &data, &length) < 0)
        return NULL;
    if (length != sizeof(Identity)) {
        PyErr_Format(PyExc_ValueError, "an identity has %zu bytes, not %zd", sizeof(Identity), length);
        return NULL;
    }
    memcpy(&vcpu->env->identity, data, sizeof(Identity));
    Py_RETURN_NONE;
}

void identity_install(Vcpu *vcpu)
{
    helper_replace(vcpu->library.cpuid_instruction, on_cpuid);
}
