#pragma once
// Where the shipped data lies: profiles, workloads, recordings, a real kernel's counts.

#include <string>

namespace kpksim::app {

// `relative` ("profiles/cores") below the folder of shipped data. That folder is $KPKSIM_DATA if it
// is set, else share/kpksim beside the program's folder (an installed prefix) or in it (a build
// tree, where it is a link to the checkout). InputError: there is none.
std::string data_path(const std::string& relative);

}  // namespace kpksim::app
