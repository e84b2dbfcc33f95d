#include "ir/program.h"

#include <algorithm>
#include <unordered_set>

namespace netc {

std::string_view to_string(Place place) {
  switch (place) {
  case Place::state:
    return "state";
  case Place::feed:
    return "feed";
  case Place::output:
    return "output";
  case Place::arena:
    return "arena";
  }
  return "?";
}

int Program::find(std::string_view buffer) const {
  auto it = std::find_if(buffers.begin(), buffers.end(),
                         [&](const Buffer& b) { return b.name == buffer; });
  return it == buffers.end() ? -1 : static_cast<int>(it - buffers.begin());
}

namespace {

using kernel::Access;

class Verifier {
public:
  explicit Verifier(const Program& program) : program_(program) {}

  void run() {
    check(program_.arena_bytes >= 0, "has an arena of {} bytes", program_.arena_bytes);
    check(program_.lower_bound_bytes >= 0 && program_.lower_bound_bytes <= program_.arena_bytes,
          "needs at least {} bytes, the arena has {}", program_.lower_bound_bytes,
          program_.arena_bytes);
    std::unordered_set<std::string> names;
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const Buffer& b = program_.buffers[i];
      check(!b.name.empty() && names.insert(b.name).second, "two buffers are named `{}`", b.name);
      buffer(b);
      if (b.alias >= 0)
        alias(b, i);
    }
    overlaps();
    written_.resize(program_.buffers.size());
    overwritten_.resize(program_.buffers.size());
    for (size_t i = 0; i < program_.buffers.size(); ++i)
      written_[i] = program_.buffers[i].alias < 0 && (program_.buffers[i].place == Place::state ||
                                                      program_.buffers[i].place == Place::feed);
    for (size_t i = 0; i < program_.steps.size(); ++i)
      step(program_.steps[i], static_cast<int>(i));
  }

private:
  template <class... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    NETC_CHECK(condition, "program `{}` {}", program_.name,
               fmt::format(format, std::forward<Args>(args)...));
  }

  void buffer(const Buffer& b) const {
    int steps = static_cast<int>(program_.steps.size());
    check(b.bytes > 0 && b.bytes >= b.type.bytes(), "has `{}` ({}) in {} bytes", b.name,
          b.type.str(), b.bytes);
    check(b.layout == Layout::row_major || b.type.shape.size() == 4,
          "has `{}`, nhwc but of rank {}", b.name, b.type.shape.size());
    if (b.place != Place::arena) {
      check(b.offset == 0, "has `{}` at an offset outside the arena", b.name);
      return;
    }
    check(b.offset >= 0 && b.offset % arena_alignment == 0, "has `{}` at offset {}, not aligned",
          b.name, b.offset);
    check(b.bytes <= program_.arena_bytes && b.offset <= program_.arena_bytes - b.bytes,
          "has `{}` at {}, {} bytes, outside its arena of {}", b.name, b.offset, b.bytes,
          program_.arena_bytes);
    check(b.first_step >= 0 && b.first_step <= b.last_step && b.last_step < steps,
          "has `{}` live in {}..{} of {} steps", b.name, b.first_step, b.last_step, steps);
  }

  void alias(const Buffer& b, size_t index) const {
    check(static_cast<size_t>(b.alias) < index, "has `{}` as an alias of a later buffer", b.name);
    const Buffer& of = program_.buffers[static_cast<size_t>(b.alias)];
    check(b.place == of.place && b.offset == of.offset && b.bytes == of.bytes,
          "has `{}` elsewhere than `{}`, which it aliases", b.name, of.name);
    check(b.place == Place::state || b.place == Place::arena, "has `{}` as an alias of a {}",
          b.name, to_string(of.place));
    check(b.place == Place::state || of.last_step <= b.first_step,
          "has `{}` written in place of `{}`, which is still live", b.name, of.name);
  }

  void overlaps() const {
    // In the order of their births, only those still alive need be compared.
    std::vector<const Buffer*> order, alive;
    for (const Buffer& b : program_.buffers)
      if (b.place == Place::arena)
        order.push_back(&b);
    std::stable_sort(order.begin(), order.end(), [](const Buffer* a, const Buffer* b) {
      return a->first_step < b->first_step;
    });
    for (const Buffer* b : order) {
      std::erase_if(alive, [&](const Buffer* a) { return a->last_step < b->first_step; });
      for (const Buffer* a : alive)
        check(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset ||
                  aliased(*a, *b),
              "has `{}` and `{}` in the same bytes at the same time", a->name, b->name);
      alive.push_back(b);
    }
  }

  /// Whether one is, perhaps through others, the alias of the other.
  bool aliased(const Buffer& a, const Buffer& b) const {
    auto reaches = [&](const Buffer* from, const Buffer* to) {
      while (from != to && from->alias >= 0)
        from = &program_.buffers[static_cast<size_t>(from->alias)];
      return from == to;
    };
    return reaches(&a, &b) || reaches(&b, &a);
  }

  void step(const Step& s, int index) {
    check(!s.kernel.empty(), "has step {} without a kernel", index);
    check(s.access.size() == s.buffers.size(), "has step {} (`{}`) with {} buffers, {} accesses",
          index, s.kernel, s.buffers.size(), s.access.size());
    for (size_t i = 0; i < s.buffers.size(); ++i) {
      check(s.buffers[i] >= 0 && static_cast<size_t>(s.buffers[i]) < program_.buffers.size(),
            "has step {} (`{}`) on a buffer {} that does not exist", index, s.kernel, s.buffers[i]);
      use(s, index, static_cast<size_t>(s.buffers[i]), s.access[i]);
    }
    for (size_t i = 0; i < s.buffers.size(); ++i)
      if (s.access[i] == Access::out || s.access[i] == Access::inout)
        write(static_cast<size_t>(s.buffers[i]));
  }

  void write(size_t buffer) {
    written_[buffer] = true;
    int alias = program_.buffers[buffer].alias;
    if (alias >= 0)
      overwritten_[static_cast<size_t>(alias)] = true;
  }

  void use(const Step& s, int index, size_t buffer, Access access) const {
    const Buffer& b = program_.buffers[buffer];
    check(b.place != Place::arena || (b.first_step <= index && index <= b.last_step),
          "has step {} (`{}`) on `{}`, live in {}..{}", index, s.kernel, b.name, b.first_step,
          b.last_step);
    check(access == Access::in || b.place != Place::feed, "has step {} (`{}`) write the feed `{}`",
          index, s.kernel, b.name);
    check(access != Access::workspace || b.place == Place::arena,
          "has step {} (`{}`) with the workspace `{}` outside the arena", index, s.kernel, b.name);
    check(!overwritten_[buffer], "has step {} (`{}`) use `{}` after it was overwritten in place",
          index, s.kernel, b.name);
    // An update in place reads what it aliases.
    bool written = written_[buffer] || (access == Access::inout && b.alias >= 0 &&
                                        written_[static_cast<size_t>(b.alias)]);
    check(written || access == Access::out || access == Access::workspace,
          "has step {} (`{}`) read `{}` before it is written", index, s.kernel, b.name);
  }

  const Program& program_;
  std::vector<bool> written_;
  std::vector<bool> overwritten_; ///< Through an alias.
};

} // namespace

void verify(const Program& program) {
  Verifier(program).run();
}

} // namespace netc
