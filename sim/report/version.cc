#include "sim/report/result.h"

namespace kpksim::report {

const char* version() { return KPKSIM_VERSION; }

}  // namespace kpksim::report
