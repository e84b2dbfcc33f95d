#include "ir/program.h"

#include "ir/kernel_rules.h"

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
    for (const Exchange& e : program_.exchanges)
      exchange(e);
    overlaps();
    written_.resize(program_.buffers.size());
    overwritten_.resize(program_.buffers.size());
    for (size_t i = 0; i < program_.buffers.size(); ++i)
      written_[i] = program_.buffers[i].alias < 0 && (program_.buffers[i].place == Place::state ||
                                                      program_.buffers[i].place == Place::feed);
    for (size_t i = 0; i < program_.steps.size(); ++i)
      step(program_.steps[i], static_cast<int>(i));
    check(next_exchange_ == program_.exchanges.size(), "has {} exchanges, {} steps for them",
          program_.exchanges.size(), next_exchange_);
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
    part(b);
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

  void part(const Buffer& b) const {
    if (b.part.empty() && b.whole.empty())
      return;
    check(b.place != Place::arena, "has `{}` as a part of a tensor, in the arena", b.name);
    check(b.part.size() == b.whole.size() && contains(whole_box(b.whole), b.part),
          "has `{}` at {}, outside its tensor of {}", b.name, to_text(b.part),
          shape_string(b.whole));
    check(!is_empty(b.part) && shape_of(b.part) == b.type.shape, "has `{}` ({}) at {}", b.name,
          b.type.str(), to_text(b.part));
  }

  void exchange(const Exchange& e) const {
    check(!e.name.empty(), "has an exchange without a name");
    for (const Sharding* sharding : {&e.from, &e.to}) {
      check(sharding->devices() == e.to.devices() && program_.device < sharding->devices(),
            "has the exchange `{}` between {} and {} devices, on device {}", e.name,
            e.from.devices(), e.to.devices(), program_.device);
      for (const Box& box : sharding->boxes)
        check(is_empty(box) ||
                  (box.size() == e.type.shape.size() && contains(whole_box(e.type.shape), box)),
              "has the exchange `{}` of {} with {}", e.name, e.type.str(), to_text(box));
    }
    check(e.to.combine == Combine::none, "has the exchange `{}`, which leaves partial results",
          e.name);
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
    check(s.kernel.empty() == (s.exchange >= 0),
          "has step {} without a kernel or exchange, or both", index);
    check(s.access.size() == s.buffers.size(), "has step {} (`{}`) with {} buffers, {} accesses",
          index, s.kernel, s.buffers.size(), s.access.size());
    for (size_t i = 0; i < s.buffers.size(); ++i) {
      check(s.buffers[i] >= 0 && static_cast<size_t>(s.buffers[i]) < program_.buffers.size(),
            "has step {} (`{}`) on a buffer {} that does not exist", index, s.kernel, s.buffers[i]);
      use(s, index, static_cast<size_t>(s.buffers[i]), s.access[i]);
    }
    if (s.exchange >= 0)
      share(s, index);
    for (size_t i = 0; i < s.buffers.size(); ++i)
      if (s.access[i] == Access::out || s.access[i] == Access::inout)
        write(static_cast<size_t>(s.buffers[i]));
  }

  /// What the step of an exchange has, and what it gets.
  void share(const Step& s, int index) {
    check(static_cast<size_t>(s.exchange) == next_exchange_ &&
              next_exchange_ < program_.exchanges.size(),
          "has step {} for exchange {}, expected {} of {}", index, s.exchange, next_exchange_,
          program_.exchanges.size());
    const Exchange& e = program_.exchanges[next_exchange_++];
    size_t at = 0;
    auto expect = [&](const Box& box, Access access) {
      if (is_empty(box))
        return;
      check(at < s.buffers.size() && s.access[at] == access,
            "has step {} of the exchange `{}` without an `{}`", index, e.name,
            kernel::to_string(access));
      const Buffer& b = program_.buffers[static_cast<size_t>(s.buffers[at++])];
      check(b.type == TensorType{e.type.dtype, shape_of(box)},
            "has step {} of the exchange `{}` with `{}` ({}) for {}", index, e.name, b.name,
            b.type.str(), to_text(box));
    };
    expect(e.from.at(program_.device), Access::in);
    expect(e.to.at(program_.device), Access::out);
    check(at == s.buffers.size(), "has step {} of the exchange `{}` with {} buffers, expected {}",
          index, e.name, s.buffers.size(), at);
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
  size_t next_exchange_ = 0;      ///< The one the next step of an exchange must be for.
};

} // namespace

void verify(const Program& program) {
  Verifier(program).run();
}

} // namespace netc
