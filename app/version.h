#pragma once
// What this program is, for reports of errors.

namespace kpksim::app {

// Version, compiler, build type and the folder of shipped data, printed.
int version();

}  // namespace kpksim::app
