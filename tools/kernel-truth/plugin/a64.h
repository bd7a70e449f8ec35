// SPDX-License-Identifier: MIT
// The A64 instructions that are counted, as masks and values (Arm ARM, C4.1 "Branches, exception
// generating and system instructions").
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static inline bool is_isb(uint32_t i) { return (i & 0xFFFFF0FF) == 0xD50330DF; }
static inline bool is_dsb(uint32_t i) { return (i & 0xFFFFF0FF) == 0xD503309F; }
static inline unsigned dsb_domain(uint32_t i) { return (i >> 8) & 0xF; }  // CRm
static inline bool is_svc(uint32_t i) { return (i & 0xFFE0001F) == 0xD4000001; }
static inline bool is_eret(uint32_t i) {
  return i == 0xD69F03E0 || i == 0xD69F0BFF || i == 0xD69F0FFF;  // ERET, ERETAA, ERETAB
}

// HINT #imm: numbers that are not allocated execute as NOP.
static inline bool is_hint(uint32_t i) { return (i & 0xFFFFF01F) == 0xD503201F; }
static inline unsigned hint_number(uint32_t i) { return (i >> 5) & 0x7F; }

// MSR/MRS (register): the register's op0:op1:CRn:CRm:op2 without the transfer register.
#define SYSREG(op0, op1, crn, crm, op2) \
  ((uint32_t)(op0) << 19 | (uint32_t)(op1) << 16 | (crn) << 12 | (crm) << 8 | (op2) << 5)
static inline bool is_msr(uint32_t i, uint32_t reg) { return (i & ~0x1Fu) == (0xD5000000 | reg); }
static inline bool is_mrs(uint32_t i, uint32_t reg) { return (i & ~0x1Fu) == (0xD5200000 | reg); }
static const uint32_t TTBR0_EL1 = SYSREG(3, 0, 2, 0, 0);
static const uint32_t TTBR1_EL1 = SYSREG(3, 0, 2, 0, 1);
static const uint32_t CONTEXTIDR_EL1 = SYSREG(3, 0, 13, 0, 1);
static const uint32_t POR_EL1 = SYSREG(3, 0, 10, 2, 4);
static const uint32_t ICC_IAR1_EL1 = SYSREG(3, 0, 12, 12, 0);

// TLBI is SYS with CRn = 8 (9: the nXS forms of FEAT_XS). The operation's name follows from CRm
// (range or not, shareability) and op2 (what is invalidated).
static inline bool is_tlbi(uint32_t i) {
  const uint32_t crn = (i >> 12) & 0xF;
  return (i & 0xFFF80000) == 0xD5080000 && (crn == 8 || crn == 9);
}
enum { TLBI_KINDS = 1 << 12 };
static inline unsigned tlbi_kind(uint32_t i) {  // op1, CRn's low bit, CRm, op2
  return ((i >> 16) & 7) << 8 | ((i >> 12) & 1) << 7 | ((i >> 8) & 0xF) << 3 | ((i >> 5) & 7);
}
static inline void tlbi_name(unsigned kind, char *name, size_t size) {
  static const char *const operation[8] = {"VMALLE1", "VAE1",  "ASIDE1", "VAAE1",
                                           NULL,      "VALE1", NULL,     "VAALE1"};
  static const struct {
    const char *prefix, *suffix;
  } form[16] = {[1] = {"", "OS"},  [2] = {"R", "IS"}, [3] = {"", "IS"},
                [5] = {"R", "OS"}, [6] = {"R", ""},   [7] = {"", ""}};
  const unsigned op1 = kind >> 8, nxs = kind >> 7 & 1, crm = kind >> 3 & 0xF, op2 = kind & 7;
  if (op1 == 0 && form[crm].prefix && operation[op2])
    snprintf(name, size, "%s%s%s%s", form[crm].prefix, operation[op2], form[crm].suffix,
             nxs ? "NXS" : "");
  else  // EL2 and EL3 operations: not expected from a guest at EL1
    snprintf(name, size, "SYS_%u_C%u_C%u_%u", op1, 8 + nxs, crm, op2);
}
