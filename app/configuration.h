#pragma once
// A configuration: one document with everything that a run depends on, and where each value is
// from. kpksim config writes it, and --config of the other commands runs it to the same bytes.

#include <nlohmann/json_fwd.hpp>

#include "app/request.h"

namespace kpksim::app {

// Reads the file of --config into `request`. A configuration says all that options would, but
// compare may be given other policies. InputError: an option beside it that it says already; a
// document that is none, or that this version reads otherwise.
void read_configuration(Command command, Request& request);

nlohmann::ordered_json configuration_document(const Request& request);

}  // namespace kpksim::app
