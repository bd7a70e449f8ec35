#pragma once
// Errors of the user's input. The library throws them; app/ alone catches, prints and exits with 2.

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim {

// One clear message: place (file:line:column or JSON pointer), what is wrong, what was expected.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A defect of the model itself: an invariant that its own code broke.
class ModelError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// "; did you mean 'x'?" for the name nearest to `given` (edit distance of at most 3), else the list
// of the known names, or where that is too long to read the five nearest.
std::string suggest(std::string_view given, const std::vector<std::string>& known);

}  // namespace kpksim
