#pragma once
// What a sweep is over: a file (sweeps/schema.json) to points, each a list of settings and their
// values. Any point is found from its number alone, so that memory does not grow with the points.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim {
class JsonFile;
}

namespace kpksim::sweep {

// A setting has a name: "core" (which one), or "core:/tlb/l2_sets" (a value of it).
struct Assignment {
  std::string key;
  std::string value;  // as JSON text

  bool operator==(const Assignment&) const = default;
};

using Point = std::uint64_t;

class Dimension;

class Spec {
 public:
  // Reads and checks `path`. InputError with line, column and JSON pointer.
  explicit Spec(const std::string& path);

  const std::string& name() const { return name_; }
  // The whole of it on one line: two specs are the same sweep if these are equal.
  const std::string& text() const { return text_; }
  bool beyond_ranges() const { return beyond_ranges_; }
  Point points() const { return points_; }

  // What holds for point `number`: the base, but for what the point has itself.
  std::vector<Assignment> settings(Point number) const;
  // Names of what varies, in the order of the file.
  const std::vector<std::string>& varied() const { return varied_; }
  // All values of a setting that stands for a file ("core"), as texts.
  std::vector<std::string> names_of(std::string_view key) const;

  // A text as a value, which may be a name, with some of the points that have it.
  struct Listed {
    Assignment what;
    std::vector<Point> points;
  };
  // Each with up to `most` points. Of very long lists the first ones alone.
  std::vector<Listed> listed_texts(Point most) const;

  // InputError: `what` is wrong with the name of one of these settings, as the message names it by
  // its "key=value"; told at its place in the file. Returns if it names none.
  void refuse_key(const std::vector<Assignment>& settings, const std::string& what) const;
  // InputError: `what` is wrong with this value, or with the file.
  [[noreturn]] void refuse(const Assignment& setting, const std::string& what) const;
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void read_base();
  void read_part(std::size_t i);
  std::string pointer_of(const std::string& key) const;
  std::string pointer_of(const Assignment& setting) const;  // of its value, if the file lists it
  // A name is one of a document or of a value in it, and is there once.
  void add_key(const std::string& key, const std::string& pointer);
  void add_dimension(std::shared_ptr<const Dimension> dimension, const std::string& pointer);

  std::shared_ptr<const JsonFile> file_;
  std::string name_, text_;
  bool beyond_ranges_ = false;
  Point points_ = 1;
  std::vector<Assignment> base_;
  std::vector<std::string> varied_;
  std::vector<std::pair<std::string, std::string>> places_;  // of keys, as JSON pointers
  std::vector<std::shared_ptr<const Dimension>> dimensions_;
};

extern const char* const kSweepSchema;

}  // namespace kpksim::sweep
