#include "app/shard.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <optional>

#include "sim/base/error.h"

namespace kpksim::app {
namespace {

std::optional<std::uint64_t> whole(std::string_view text) {
  std::uint64_t n = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return n;
}

// The number in a variable; `otherwise` if it is not set.
std::uint64_t variable(const char* name, std::optional<std::uint64_t> otherwise = {}) {
  const char* const text = std::getenv(name);
  if (text == nullptr && otherwise) return *otherwise;
  const auto n = whole(text == nullptr ? "" : text);
  if (!n) {
    throw InputError(
        fmt::format("{}: '{}' is no number; --shard i/n says which part is this task's", name,
                    text == nullptr ? "" : text));
  }
  return *n;
}

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

sweep::Shard checked(std::uint64_t index, std::uint64_t count, const std::string& who) {
  if (count == 0 || index >= count) {
    throw InputError(fmt::format("{}: there is no shard {} of {}", who, index + 1, count));
  }
  return {index, count};
}

}  // namespace

sweep::Shard shard_of(const std::string& given) {
  if (!given.empty()) {
    const std::size_t slash = given.find('/');
    const auto index = whole(std::string_view(given).substr(0, slash));
    const auto count = slash == std::string::npos
                           ? std::nullopt
                           : whole(std::string_view(given).substr(slash + 1));
    if (!index || !count || *index == 0) {
      throw InputError(
          fmt::format("--shard: '{}' is no part; expected i/n, from 1/n to n/n", given));
    }
    return checked(*index - 1, *count, "--shard");
  }
  if (is_set("SLURM_ARRAY_TASK_ID")) {  // sbatch's --array=5-9:2 has 5, 7 and 9
    const std::uint64_t first = variable("SLURM_ARRAY_TASK_MIN", 0);
    const std::uint64_t step = variable("SLURM_ARRAY_TASK_STEP", 1);
    const std::uint64_t id = variable("SLURM_ARRAY_TASK_ID");
    if (id < first || step == 0 || (id - first) % step != 0) {
      throw InputError("SLURM_ARRAY_TASK_ID: not one of the array's; --shard i/n says which part");
    }
    return checked((id - first) / step, variable("SLURM_ARRAY_TASK_COUNT"), "SLURM_ARRAY_TASK_ID");
  }
  // Kubernetes sets the index alone; the job's specification has to pass its .spec.completions on.
  if (is_set("JOB_COMPLETION_INDEX")) {
    return checked(variable("JOB_COMPLETION_INDEX"), variable("JOB_COMPLETIONS"),
                   "JOB_COMPLETION_INDEX");
  }
  if (is_set("PMI_RANK")) return checked(variable("PMI_RANK"), variable("PMI_SIZE"), "PMI_RANK");
  if (is_set("OMPI_COMM_WORLD_RANK")) {
    return checked(variable("OMPI_COMM_WORLD_RANK"), variable("OMPI_COMM_WORLD_SIZE"),
                   "OMPI_COMM_WORLD_RANK");
  }
  return {};
}

}  // namespace kpksim::app
