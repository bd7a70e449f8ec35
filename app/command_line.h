#pragma once
// How subcommands read their options (Boost.Program_options): the same everywhere.

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <vector>

// The kinds of values that options have are compiled in command_line.cc alone.
namespace boost::program_options {
extern template class typed_value<bool>;
extern template class typed_value<unsigned>;
extern template class typed_value<std::string>;
extern template void typed_value<std::vector<std::string>>::xparse(
    boost::any&, const std::vector<std::string>&) const;
}  // namespace boost::program_options

namespace kpksim::app {

// An argument without a name: which value takes it, and up to how many of them (-1: all).
struct Unnamed {
  const char* name;
  const boost::program_options::value_semantic* value;
  int most;
};

// Reads `arguments` by `options`, to which --help is added, and by `unnamed`, in their order.
// False: they asked for help, which is printed, with `examples` (lines of commands) below it.
// `given`: the names of those that were there, not those that keep their defaults.
// Errors are boost's, or InputError: an unknown option (with the nearest one), or from a value.
bool read_command_line(const std::vector<std::string>& arguments,
                       boost::program_options::options_description& options, const char* examples,
                       std::initializer_list<Unnamed> unnamed = {},
                       std::set<std::string>* given = nullptr);

// The values of options. `option` is its name in messages: "--cores". boost's own conversions take
// -1 for the largest unsigned number, and an empty text for one that was not given.

using TextOption = boost::program_options::typed_value<std::string>;
using TextsOption = boost::program_options::typed_value<std::vector<std::string>>;

// A whole number from `least` to `most`, in decimal digits.
TextOption* number_option(const char* option, std::uint64_t& target, std::uint64_t least = 0,
                          std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
TextOption* number_option(const char* option, unsigned& target, unsigned least = 0,
                          unsigned most = std::numeric_limits<unsigned>::max());
// A text that is not empty.
TextOption* text_option(const char* option, std::string& target);
// Any number of them.
TextsOption* texts_option(const char* option, std::vector<std::string>& target);
// --jobs: threads, as many as there are processors unless told otherwise.
TextOption* jobs_option(unsigned& target);

// One of `known`, or InputError with the nearest.
void check_choice(const char* option, const std::string& given,
                  const std::vector<std::string>& known);

}  // namespace kpksim::app
