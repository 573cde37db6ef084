/* The clock of one host, which NTP slews: CLOCK_MONOTONIC and CLOCK_BOOTTIME run at a rate of their own, and
 * CLOCK_MONOTONIC_RAW is what it is. slewed_clock.rs preloads it and sets the rate.
 *
 * Programs read these clocks through the vDSO, whose function is replaced. Waits that the kernel times are
 * trapped by seccomp, converted to the kernel's time, and carried out under a mark that is not trapped. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the clocks of this processor cannot be slewed: add its jump and its registers"
#endif

#define SECOND 1000000000LL
#define MARK 0x51e3ed

/* From this raw time on, monotonic time runs from there, by so many thousandths faster. */
struct change {
    int64_t raw, monotonic, faster;
};

/* The changes go round; the last byte of the file is the index of the current one. */
struct clock {
    struct change changes[256];
    volatile uint8_t current;
};

static const struct clock *host;
static int64_t suspended;

static int64_t nanos(struct timespec time) {
    return time.tv_sec * SECOND + time.tv_nsec;
}

static struct timespec timespec(int64_t nanos) {
    return (struct timespec){nanos / SECOND, nanos % SECOND};
}

static int64_t kernel(clockid_t clock) {
    struct timespec time;
    syscall(SYS_clock_gettime, clock, &time);
    return nanos(time);
}

static int64_t monotonic(int64_t *faster) {
    uint8_t current;
    int64_t raw;
    struct change change;
    do {
        current = host->current;
        __sync_synchronize();
        change = host->changes[current];
        raw = kernel(CLOCK_MONOTONIC_RAW);
        __sync_synchronize();
    } while (current != host->current);
    *faster = change.faster;
    return change.monotonic + (raw - change.raw) * (1000 + change.faster) / 1000;
}

static int64_t in_kernel_time(int64_t left, int64_t faster) {
    return left <= 0 ? 1 : left * 1000 / (1000 + faster) + 1;
}

static int slewed_gettime(clockid_t clock, struct timespec *time) {
    int64_t faster;
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        *time = timespec(monotonic(&faster));
        return 0;
    case CLOCK_BOOTTIME:
        *time = timespec(monotonic(&faster) + suspended);
        return 0;
    default:
        return syscall(SYS_clock_gettime, clock, time) ? -errno : 0;
    }
}

/* All timers of `incumbent` are of boot time. */
static long set_timer(int timer, int flags, const struct itimerspec *asked, struct itimerspec *old) {
    struct itimerspec value = *asked;
    int64_t faster, now = monotonic(&faster) + suspended, at = nanos(asked->it_value);
    if (at != 0) {
        int64_t left = flags & TFD_TIMER_ABSTIME ? at - now : at;
        value.it_value = timespec(kernel(CLOCK_BOOTTIME) + in_kernel_time(left, faster));
    }
    return syscall(SYS_timerfd_settime, timer, flags | TFD_TIMER_ABSTIME, &value, old, 0, MARK);
}

static long wait_for(struct pollfd *files, nfds_t count, const struct timespec *asked, const void *mask, size_t size) {
    struct timespec timeout;
    int64_t faster;
    if (asked != NULL && nanos(*asked) > 0) {
        monotonic(&faster);
        timeout = timespec(in_kernel_time(nanos(*asked), faster));
    } else if (asked != NULL)
        timeout = *asked;
    return syscall(SYS_ppoll, files, count, asked == NULL ? NULL : &timeout, mask, size, MARK);
}

static void trapped(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    int kept = errno;
    long result = -1;
    (void)signal;
    if (info->si_syscall == SYS_timerfd_settime)
        result = set_timer(registers[REG_RDI], registers[REG_RSI], (void *)registers[REG_RDX],
                           (void *)registers[REG_R10]);
    else if (info->si_syscall == SYS_ppoll)
        result = wait_for((void *)registers[REG_RDI], registers[REG_RSI], (void *)registers[REG_RDX],
                          (void *)registers[REG_R10], registers[REG_R8]);
    registers[REG_RAX] = result < 0 ? -errno : result;
    errno = kept;
}

static void trap(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_timerfd_settime, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ppoll, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        abort();
}

static void replace_vdso(void) {
    void *vdso = dlopen("linux-vdso.so.1", RTLD_NOLOAD | RTLD_NOW);
    unsigned char *function = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
    int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    /* movabs rax, ADDRESS; jmp rax */
    unsigned char jump[12] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};
    void *target = (void *)slewed_gettime;
    memcpy(jump + 2, &target, sizeof target);
    if (function == NULL || pwrite(memory, jump, sizeof jump, (off_t)function) != sizeof jump)
        abort();
    close(memory);
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SLEWED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    host = mmap(NULL, sizeof *host, PROT_READ, MAP_SHARED, file, 0);
    if (host == MAP_FAILED)
        abort();
    close(file);
    suspended = kernel(CLOCK_BOOTTIME) - kernel(CLOCK_MONOTONIC);
    replace_vdso();
    trap();
}
