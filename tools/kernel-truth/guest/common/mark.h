// SPDX-License-Identifier: MIT
// The language between guest and plugin: HINT instructions with numbers that the architecture has
// not allocated. The processor executes them as NOP, the plugin sees them. A phase is announced
// by number (one HINT per bit, most significant first), so that begin and end are one instruction
// each and add nothing to what is measured.
#pragma once

enum kt_hint {
  KT_BIT_0 = 64,  // a bit of the number announced next
  KT_BIT_1 = 65,
  KT_NUMBER = 66,  // a number starts: forget earlier bits
  KT_BEGIN = 67,   // the phase with the announced number starts here
  KT_END = 68,     // and ends here
  KT_DONE = 69,    // the guest has done all it was asked for
};
// A number: the repetition, and in the lower bits the phase.
enum { KT_PHASE_BITS = 16, KT_NUMBER_BITS = KT_PHASE_BITS + 8 };

#ifdef __aarch64__
#define KT_HINT(n) __asm__ volatile("hint %0" ::"i"(n) : "memory")

static inline void kt_announce(unsigned repetition, unsigned phase) {
  const unsigned number = repetition << KT_PHASE_BITS | phase;
  KT_HINT(KT_NUMBER);
  for (int bit = KT_NUMBER_BITS - 1; bit >= 0; bit--) {
    if (number >> bit & 1)
      KT_HINT(KT_BIT_1);
    else
      KT_HINT(KT_BIT_0);
  }
}
#endif
