/* Calling the guest away from its work: the doorbell, the timers' alarm, and sleeping in HLT.
 *
 * A ring is seen at the start of the next block of guest code, whichever thread rang; the guest is
 * not stopped for it. The alarm thread rings when the next timer's deadline has come.
 */
#include <time.h>
#include <unistd.h>

#include "vcpu.h"

#define NEVER INT64_MAX

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

void doorbell_ring(Vcpu *vcpu)
{
    atomic_store(&vcpu->doorbell, true);
    vcpu_kick(vcpu);
    pthread_mutex_lock(&vcpu->mutex);
    pthread_cond_signal(&vcpu->rung);
    pthread_mutex_unlock(&vcpu->mutex);
}

static void *alarm_thread(void *argument)
{
    Vcpu *vcpu = argument;
    pthread_mutex_lock(&vcpu->mutex);
    while (!vcpu->closing) {
        if (vcpu->armed == NEVER) {
            pthread_cond_wait(&vcpu->rearmed, &vcpu->mutex);
        } else if (vcpu->armed > now()) {
            struct timespec until = timespec_of(vcpu->armed);
            pthread_cond_timedwait(&vcpu->rearmed, &vcpu->mutex, &until);
        } else {
            vcpu->armed = NEVER;
            atomic_store(&vcpu->doorbell, true);
            vcpu_kick(vcpu);
            pthread_cond_signal(&vcpu->rung);
        }
    }
    pthread_mutex_unlock(&vcpu->mutex);
    return NULL;
}

/* Tell the alarm thread of a deadline that comes before what it waits for. A later one needs no
 * word: it then rings early, and is armed anew. */
void doorbell_publish(Vcpu *vcpu)
{
    pthread_mutex_lock(&vcpu->mutex);
    if (vcpu->deadline < vcpu->armed) {
        vcpu->armed = vcpu->deadline;
        pthread_cond_signal(&vcpu->rearmed);
    }
    pthread_mutex_unlock(&vcpu->mutex);
}

/* Set the next deadline. Only on the vCPU's thread. */
void doorbell_arm(Vcpu *vcpu, int64_t deadline)
{
    vcpu->deadline = deadline;
    if (!vcpu->executing || deadline >= vcpu->armed)
        return;
    if (deadline <= now()) { /* as completions are that come at once: no need for the alarm */
        atomic_store(&vcpu->doorbell, true);
        vcpu_kick(vcpu);
    } else {
        doorbell_publish(vcpu);
    }
}

/* Wait for a ring or the deadline. Without the GIL. */
void doorbell_sleep(Vcpu *vcpu)
{
    struct timespec until = timespec_of(vcpu->deadline == NEVER ? 0 : vcpu->deadline);
    pthread_mutex_lock(&vcpu->mutex);
    while (!atomic_load(&vcpu->doorbell)) {
        if (vcpu->deadline == NEVER)
            pthread_cond_wait(&vcpu->rung, &vcpu->mutex);
        else if (pthread_cond_timedwait(&vcpu->rung, &vcpu->mutex, &until))
            break;
    }
    atomic_store(&vcpu->doorbell, false);
    pthread_mutex_unlock(&vcpu->mutex);
}

int doorbell_open(Vcpu *vcpu)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&vcpu->rung, &monotonic);
    pthread_cond_init(&vcpu->rearmed, &monotonic);
    pthread_mutex_init(&vcpu->mutex, NULL);
    vcpu->deadline = vcpu->armed = NEVER;
    vcpu->process = getpid();

    int error = pthread_create(&vcpu->alarm, NULL, alarm_thread, vcpu);
    if (error) {
        vcpu->alarm = 0; /* which is not said to be left alone */
        PyErr_Format(EngineError, "no alarm thread: %s", strerror(error));
        return -1;
    }
    return 0;
}

void doorbell_close(Vcpu *vcpu)
{
    if (vcpu->process != getpid())
        return; /* a fork leaves the thread behind */
    pthread_mutex_lock(&vcpu->mutex);
    vcpu->closing = true;
    pthread_cond_signal(&vcpu->rearmed);
    pthread_mutex_unlock(&vcpu->mutex);
    pthread_join(vcpu->alarm, NULL);
}
