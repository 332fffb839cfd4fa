/*
 * Preloaded into a process, hides AVX-512 and AMX from it: libraries that choose their kernels by the CPUID instruction then
 * choose those of a processor with AVX2, FMA and AVX-VNNI. So a native peer can be timed as on the class of processor the bars
 * were set on. The kernel is asked to let CPUID fault (arch_prctl, Linux on x86-64); the fault is answered with the true
 * values less the bits below. Compiled and used by bench/lib/hide-avx512.ts; ends the process if the processor cannot do it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SET_CPUID_FAULTING = 0x1012, CPUID_BYTES = 2, CANNOT = 3 };

/* Bits of leaf 7: AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS, VP2INTERSECT,
 * AMX-BF16, AVX512-FP16, AMX-TILE, AMX-INT8. Of its second page: AVX512-BF16, AMX-FP16. */
static const uint32_t EBX7 = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const uint32_t ECX7 = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const uint32_t EDX7 = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;
static const uint32_t EAX7_1 = 1u << 5 | 1u << 21;

typedef int SetAction(int, const struct sigaction *, struct sigaction *);

static SetAction *real_sigaction(void) { return (SetAction *)dlsym(RTLD_NEXT, "sigaction"); }

static long allow_cpuid(int allowed) { return syscall(SYS_arch_prctl, SET_CPUID_FAULTING, allowed); }

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *at = (const uint8_t *)registers[REG_RIP];
  (void)info;
  if (at[0] != 0x0f || at[1] != 0xa2) { /* Not CPUID: a fault of its own, which ends the process when it is met again. */
    signal(number, SIG_DFL);
    return;
  }
  const uint32_t leaf = registers[REG_RAX], page = registers[REG_RCX];
  uint32_t a = leaf, b, c = page, d;
  allow_cpuid(1);
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  allow_cpuid(0);
  if (leaf == 7 && page == 0) b &= ~EBX7, c &= ~ECX7, d &= ~EDX7;
  if (leaf == 7 && page == 1) a &= ~EAX7_1;
  registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
  registers[REG_RIP] += CPUID_BYTES;
}

/* Others must not take the handler away: Node.js installs one for WebAssembly, which native peers do not use. */
int sigaction(int number, const struct sigaction *wanted, struct sigaction *previous) {
  if (number != SIGSEGV || !wanted) return real_sigaction()(number, wanted, previous);
  if (previous) memset(previous, 0, sizeof *previous);
  return 0;
}

__attribute__((constructor)) static void hide(void) {
  struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (real_sigaction()(SIGSEGV, &action, NULL) || allow_cpuid(0)) _exit(CANNOT);
}
