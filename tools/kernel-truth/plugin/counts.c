// SPDX-License-Identifier: MIT
// TCG plugin: counts what the kernel executes between the markers of guest/common/mark.h.
//
// Instructions are decoded once, when QEMU translates them; only the counted ones get a callback.
// Options: out=FILE (one line per phase and counter, see report()),
//          key=por_el1|contextidr_el1 (which register counts as the key register),
//          where=FILE (one line per phase, counter and address of the kernel).
//
// Kernel or user is decided by the address: Linux's kernel lives where bit 63 is set. Instructions
// are counted a translation block at a time. A block that is left early by an exception counts
// whole; in the kernel this happens only where an access to user memory faults.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../guest/common/mark.h"
#include "a64.h"
#include "qemu_plugin_api.h"

__attribute__((visibility("default"))) int qemu_plugin_version = KT_PLUGIN_API;

// The counters with a name of their own; TLBI operations follow behind them.
#define COUNTERS(X)                                                                                \
  X(isb)                                                                                           \
  X(dsb_ish) X(dsb_ishst) X(dsb_nsh) X(dsb_nshst) X(dsb_other) X(eret) X(svc) X(irqs) X(msr_ttbr0) \
      X(msr_ttbr1) X(msr_por) X(mrs_por) X(kernel_instructions) X(user_instructions)
enum counter {
#define X(name) C_##name,
  COUNTERS(X)
#undef X
      C_TLBI,
  C_TOTAL = C_TLBI + TLBI_KINDS
};
static const char *const counter_name[] = {
#define X(name) #name,
    COUNTERS(X)
#undef X
};

// A place in the code, from the moment when QEMU translates it: what one execution adds to which
// counter. Code that is translated anew is a new site.
struct site {
  struct site *next;
  uint64_t address, executed;
  unsigned counter, weight;
};
static struct site *sites;
static FILE *out, *where;
static uint32_t key_register;
static unsigned number;  // announced: repetition and phase
enum { PHASE_MASK = (1u << KT_PHASE_BITS) - 1 };
static bool active;

static struct site *new_site(uint64_t address, unsigned counter, unsigned weight) {
  struct site *site = malloc(sizeof *site);
  if (!site) abort();
  *site = (struct site){sites, address, 0, counter, weight};
  return sites = site;
}

static void count_site(unsigned vcpu, void *site) {
  (void)vcpu;
  ((struct site *)site)->executed++;
}

static const char *full_name(unsigned counter, char *buffer, size_t size) {
  if (counter < C_TLBI) return counter_name[counter];
  const int prefix = snprintf(buffer, size, "tlbi.");
  tlbi_name(counter - C_TLBI, buffer + prefix, size - (size_t)prefix);
  return buffer;
}

// "count REPETITION PHASE COUNTER VALUE": all named counters, and the TLBI operations that
// occurred.
static void report(void) {
  const unsigned repetition = number >> KT_PHASE_BITS, phase = number & PHASE_MASK;
  uint64_t count[C_TOTAL] = {0};
  for (const struct site *s = sites; s; s = s->next) {
    count[s->counter] += s->executed * s->weight;
    if (where && s->executed && s->address >> 63) {
      char name[32];
      fprintf(where, "%u %u %s %llx %llu %llu\n", repetition, phase,
              full_name(s->counter, name, sizeof name), (unsigned long long)s->address,
              (unsigned long long)s->executed, (unsigned long long)(s->executed * s->weight));
    }
  }
  for (unsigned c = 0; c < C_TOTAL; c++) {
    char name[32];
    if (c < C_TLBI || count[c])
      fprintf(out, "count %u %u %s %llu\n", repetition, phase, full_name(c, name, sizeof name),
              (unsigned long long)count[c]);
  }
  fprintf(out, "end %u %u\n", repetition, phase);
  fflush(out);
}

static void mark(unsigned vcpu, void *hint) {
  (void)vcpu;
  switch ((uintptr_t)hint) {
    case KT_NUMBER:
      number = 0;
      break;
    case KT_BIT_0:
      number = number << 1;
      break;
    case KT_BIT_1:
      number = number << 1 | 1;
      break;
    case KT_BEGIN:
      if (active) fprintf(out, "error phase %u begins inside a phase\n", number & PHASE_MASK);
      active = true;
      for (struct site *s = sites; s; s = s->next) s->executed = 0;
      break;
    case KT_END:
      if (!active) fprintf(out, "error phase %u ends without a begin\n", number & PHASE_MASK);
      active = false;
      report();
      break;
    case KT_DONE:
      fprintf(out, "done\n");
      fflush(out);
      break;
  }
}

static int dsb_counter(uint32_t i) {
  switch (dsb_domain(i)) {
    case 11:
      return C_dsb_ish;
    case 10:
      return C_dsb_ishst;
    case 7:
      return C_dsb_nsh;
    case 6:
      return C_dsb_nshst;
    default:
      return C_dsb_other;
  }
}

// Which counter a kernel instruction belongs to, -1: none.
static int kernel_counter(uint32_t i) {
  if (is_tlbi(i)) return C_TLBI + (int)tlbi_kind(i);
  if (is_dsb(i)) return dsb_counter(i);
  if (is_isb(i)) return C_isb;
  if (is_eret(i)) return C_eret;
  if (is_msr(i, key_register)) return C_msr_por;
  if (is_mrs(i, key_register)) return C_mrs_por;
  if (is_msr(i, TTBR0_EL1)) return C_msr_ttbr0;
  if (is_msr(i, TTBR1_EL1)) return C_msr_ttbr1;
  // The GIC driver acknowledges every interrupt exception with one read.
  if (is_mrs(i, ICC_IAR1_EL1)) return C_irqs;
  return -1;
}

static uint32_t instruction_word(const struct qemu_plugin_insn *insn) {
  uint32_t word = 0;
#if KT_PLUGIN_API < 3
  memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
#else
  qemu_plugin_insn_data(insn, &word, sizeof word);
#endif
  return word;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  const size_t n = qemu_plugin_tb_n_insns(tb);
  const uint64_t start = qemu_plugin_tb_vaddr(tb);
  const bool kernel = start >> 63;
  qemu_plugin_register_vcpu_tb_exec_cb(
      tb, count_site, QEMU_PLUGIN_CB_NO_REGS,
      new_site(start, kernel ? C_kernel_instructions : C_user_instructions, (unsigned)n));
  for (size_t k = 0; k < n; k++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, k);
    const uint32_t word = instruction_word(insn);
    const int c = kernel ? kernel_counter(word) : is_svc(word) ? C_svc : -1;
    if (c >= 0)
      qemu_plugin_register_vcpu_insn_exec_cb(insn, count_site, QEMU_PLUGIN_CB_NO_REGS,
                                             new_site(start + 4 * k, (unsigned)c, 1));
    else if (!kernel && is_hint(word) && hint_number(word) >= KT_BIT_0 &&
             hint_number(word) <= KT_DONE)
      qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, QEMU_PLUGIN_CB_NO_REGS,
                                             (void *)(uintptr_t)hint_number(word));
  }
}

static void at_exit(qemu_plugin_id_t id, void *data) {
  (void)id;
  (void)data;
  if (active) fprintf(out, "error the guest stopped inside phase %u\n", number & PHASE_MASK);
  fclose(out);
  if (where) fclose(where);
}

static FILE *open_file(const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) fprintf(stderr, "kernel-truth plugin: %s: %s\n", path, strerror(errno));
  return file;
}

static bool set_option(const char *option) {
  if (strncmp(option, "out=", 4) == 0) return (out = open_file(option + 4)) != NULL;
  if (strncmp(option, "where=", 6) == 0) return (where = open_file(option + 6)) != NULL;
  if (strcmp(option, "key=por_el1") == 0) return key_register = POR_EL1, true;
  if (strcmp(option, "key=contextidr_el1") == 0) return key_register = CONTEXTIDR_EL1, true;
  fprintf(stderr, "kernel-truth plugin: unknown option '%s'\n", option);
  return false;
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t *info, int argc,
                                                               char **argv) {
  key_register = POR_EL1;
  if (strcmp(info->target_name, "aarch64") != 0) {
    fprintf(stderr, "kernel-truth plugin: counts aarch64, not %s\n", info->target_name);
    return -1;
  }
  for (int k = 0; k < argc; k++)
    if (!set_option(argv[k])) return -1;
  if (!out) {
    fprintf(stderr, "kernel-truth plugin: option out=FILE is missing\n");
    return -1;
  }
  fprintf(out, "api %d of %d to %d\n", qemu_plugin_version, info->version.min, info->version.cur);
  fflush(out);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}
