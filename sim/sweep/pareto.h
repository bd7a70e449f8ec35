#pragma once
// Points of which none is better than another in everything.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/sweep/spec.h"

namespace kpksim::sweep {

// Less is better in each objective. Of points that are equal in all of them each stays.
class ParetoFront {
 public:
  struct Member {
    Point point = 0;
    std::vector<double> objectives;
  };

  void add(Point point, std::vector<double> objectives);
  // By the first objective, then the next ones, then the number of the point.
  std::vector<Member> members() const;

 private:
  std::vector<Member> members_;
};

}  // namespace kpksim::sweep
