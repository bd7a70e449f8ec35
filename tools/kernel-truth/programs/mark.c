// SPDX-License-Identifier: MIT
// Tells the plugin where a program begins and ends: mark begin REPETITION NUMBER, end, done.
#include "mark.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "begin") == 0) {
    kt_announce(atoi(argv[2]), atoi(argv[3]));
    KT_HINT(KT_BEGIN);
  } else if (argc == 2 && strcmp(argv[1], "end") == 0) {
    KT_HINT(KT_END);
  } else if (argc == 2 && strcmp(argv[1], "done") == 0) {
    KT_HINT(KT_DONE);
  } else {
    return 2;
  }
  return 0;
}
