#include "sim/sweep/pareto.h"

#include <algorithm>
#include <tuple>

namespace kpksim::sweep {
namespace {

// As good as `b` in everything, and better in something.
bool dominates(const std::vector<double>& a, const std::vector<double>& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    better = better || a[i] < b[i];
  }
  return better;
}

}  // namespace

void ParetoFront::add(Point point, std::vector<double> objectives) {
  for (const Member& m : members_) {
    if (dominates(m.objectives, objectives)) return;
  }
  std::erase_if(members_, [&](const Member& m) { return dominates(objectives, m.objectives); });
  members_.push_back({point, std::move(objectives)});
}

std::vector<ParetoFront::Member> ParetoFront::members() const {
  std::vector<Member> out = members_;
  std::sort(out.begin(), out.end(), [](const Member& a, const Member& b) {
    return std::tie(a.objectives, a.point) < std::tie(b.objectives, b.point);
  });
  return out;
}

}  // namespace kpksim::sweep
