// Whether the programs of several devices fit together.

#include "ir/program.h"

#include <map>

namespace netc {

namespace {

class Checker {
public:
  explicit Checker(const std::vector<const Program*>& programs) : programs_(programs) {}

  void run() {
    for (size_t i = 0; i < programs_.size(); ++i) {
      const Program& program = *programs_[i];
      check(program.device == static_cast<int>(i), program, "stands where device {} is expected",
            i);
      exchanges(program);
      steps(program);
      for (const Buffer& buffer : program.buffers)
        if (buffer.place != Place::arena && buffer.alias < 0)
          part(program, buffer);
    }
    for (const auto& [name, tensor] : tensors_)
      check(tensor.missing.empty(), *programs_.front(),
            "and those of the other devices lack {} of `{}`",
            tensor.missing.empty() ? "" : to_text(tensor.missing.front()), name);
  }

private:
  /// A tensor of which devices have parts.
  struct Tensor {
    const Program* first;     ///< The first program that has a part,
    const Buffer* buffer;     ///< and that part.
    std::vector<Box> missing; ///< What nobody has; feeds may have such parts.
  };

  template <class... Args>
  static void check(bool condition, const Program& program, fmt::format_string<Args...> format,
                    Args&&... args) {
    if (!condition)
      throw RuntimeError(fmt::format("the programs of the plan do not fit together: `{}` of "
                                     "device {} {}",
                                     program.name, program.device,
                                     fmt::format(format, std::forward<Args>(args)...)),
                         "compile the network again");
  }

  /// The same exchanges as device 0, in the same order.
  void exchanges(const Program& program) const {
    const Program& first = *programs_.front();
    const size_t count = std::min(program.exchanges.size(), first.exchanges.size());
    for (size_t i = 0; i < count; ++i) {
      const Exchange &a = first.exchanges[i], &b = program.exchanges[i];
      check(a.name == b.name, program, "has `{}` as exchange {}, device 0 has `{}`", b.name, i,
            a.name);
      check(a.type == b.type, program, "has {} in exchange {} (`{}`), device 0 has {}",
            b.type.str(), i, b.name, a.type.str());
      for (auto [of_a, of_b, word] :
           {std::tuple(&a.from, &b.from, "from"), std::tuple(&a.to, &b.to, "to")})
        check(*of_a == *of_b, program, "has exchange {} (`{}`) {} `{}`, device 0 has `{}`", i,
              b.name, word, print(*of_b), print(*of_a));
      check(b.to.devices() == static_cast<int>(programs_.size()), program,
            "has exchange {} (`{}`) between {} devices, the plan has {}", i, b.name, b.to.devices(),
            programs_.size());
    }
    const std::vector<Exchange>& more =
        program.exchanges.size() > count ? program.exchanges : first.exchanges;
    if (more.size() > count)
      check(false, program,
            "has {} exchanges, device 0 has {}: `{}` is the first of "
            "one alone",
            program.exchanges.size(), first.exchanges.size(), more[count].name);
  }

  /// Every exchange has its step, in order, over buffers of its boxes.
  void steps(const Program& program) const {
    try {
      verify(program);
    } catch (const InternalError& error) {
      check(false, program, "is not sound: {}", error.what());
    }
    for (const Exchange& e : program.exchanges)
      held(program, e);
    for (const Step& step : program.steps)
      if (step.exchange >= 0)
        ends(program, step, program.exchanges[static_cast<size_t>(step.exchange)]);
  }

  /// Somebody has what the program's device is to have.
  static void held(const Program& program, const Exchange& e) {
    std::vector<Box> wanted = {e.to.at(program.device)};
    for (const Box& box : e.from.boxes)
      wanted = without(wanted, box);
    check(wanted.empty(), program, "gets {} of the exchange `{}`, which nobody holds",
          wanted.empty() ? "" : to_text(wanted.front()), e.name);
  }

  /// What the device gives may be changed while others read it, and is replaced by the same part.
  static void ends(const Program& program, const Step& step, const Exchange& e) {
    if (is_empty(e.from.at(program.device)))
      return;
    const Buffer& source = program.buffers[static_cast<size_t>(step.buffers[0])];
    check(!e.from.partial() || (source.place != Place::state && source.place != Place::output),
          program, "has `{}`, whose partial results the exchange `{}` combines, as {}", source.name,
          e.name, to_string(source.place));
    if (step.buffers.size() < 2)
      return;
    check(memory_of(program, step.buffers[0]) != memory_of(program, step.buffers[1]) ||
              e.from.at(program.device) == e.to.at(program.device),
          program, "has {} of the exchange `{}` in place of {}", to_text(e.to.at(program.device)),
          e.name, to_text(e.from.at(program.device)));
  }

  /// The buffer whose memory a buffer has.
  static int memory_of(const Program& program, int buffer) {
    while (program.buffers[static_cast<size_t>(buffer)].alias >= 0)
      buffer = program.buffers[static_cast<size_t>(buffer)].alias;
    return buffer;
  }

  /// What is left of boxes without another.
  static std::vector<Box> without(const std::vector<Box>& boxes, const Box& other) {
    std::vector<Box> rest;
    for (const Box& box : boxes)
      for (Box& left : difference(box, intersect(box, other)))
        rest.push_back(std::move(left));
    return rest;
  }

  void part(const Program& program, const Buffer& b) {
    auto [at, fresh] = tensors_.try_emplace(fmt::format("{} {}", to_string(b.place), b.name));
    Tensor& tensor = at->second;
    if (fresh) {
      tensor = {&program, &b, {}};
      if (b.place != Place::feed)
        tensor.missing = {whole_box(b.whole_shape())};
    }
    const Buffer& first = *tensor.buffer;
    check(b.whole_shape() == first.whole_shape() && b.type.dtype == first.type.dtype, program,
          "has `{}` as a part of {} {}, device {} of {} {}", b.name, to_string(b.type.dtype),
          shape_string(b.whole_shape()), tensor.first->device, to_string(first.type.dtype),
          shape_string(first.whole_shape()));
    check(b.layout == first.layout, program, "has `{}` as {}, device {} as {}", b.name,
          to_string(b.layout), tensor.first->device, to_string(first.layout));
    tensor.missing = b.type.shape.empty() ? std::vector<Box>{} // a number has no ranges
                                          : without(tensor.missing, b.box());
  }

  const std::vector<const Program*>& programs_;
  std::map<std::string, Tensor> tensors_; ///< By place and name.
};

} // namespace

void check_exchanges(const std::vector<const Program*>& programs) {
  Checker(programs).run();
}

} // namespace netc
