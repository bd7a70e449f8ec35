#pragma once
// Which part of a sweep is this task's, as it was told or as the cluster says.

#include <string>

#include "sim/sweep/runner.h"

namespace kpksim::app {

// "2/4" (counted from 1), or, if `given` is empty, what the environment says: an array job of
// Slurm, an indexed job of Kubernetes, a rank of PMI or Open MPI. Else everything. InputError:
// malformed.
sweep::Shard shard_of(const std::string& given);

}  // namespace kpksim::app
