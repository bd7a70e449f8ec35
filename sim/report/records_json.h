#pragma once
// What was recorded of a run beside its counters (sim/watch/records.h), as its document has it.

#include <nlohmann/json_fwd.hpp>

#include "sim/watch/records.h"

namespace kpksim::report {

nlohmann::ordered_json distributions_json(const watch::Distributions& distributions);
nlohmann::ordered_json series_json(const watch::Series& series, bool exposure);

}  // namespace kpksim::report
