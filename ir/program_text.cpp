// The text form of programs and of a plan's state:
//
//   program train from "alexnet.yaml" {
//     arena 1048576 at least 983040
//     %images : u8[64,3,256,256] nhwc feed 12582912 live 0..-1
//     %conv1.weight : f32[96,3,11,11] state 139392 live 0..-1
//     %conv1 : f32[64,96,55,55] nhwc arena 74342400 at 0 live 0..3
//     %conv1.weight.new : f32[96,3,11,11] state 139392 alias %conv1.weight live 0..-1
//     step conv1_relu1(in %images, in %conv1.weight, out %conv1) "conv1 relu1" @7:5
//   }
//
// One of several devices, with a part of a feed and an exchange:
//
//   program train device 1 {
//     arena 4096 at least 4096
//     %images : u8[32,3,8,8] nhwc feed 6144 part [32:64, 0:3, 0:8, 0:8] of [64, 3, 8, 8] live 0..-1
//     exchange conv1.gradient : f32[96] from "sum [0:96] | [0:96]" to "[0:96] | [0:96]"
//     step exchange 0(in %conv1.gradient.part, out %conv1.gradient) "conv1: exchange"
//   }
//
//   state {
//     %conv1.weight : f32[96,3,11,11] gaussian 0.01 fan 363 11616 trainable rate 1.0 decay 1.0
//   }

#include "ir/attribute.h"
#include "ir/kernel_rules.h"
#include "ir/program.h"
#include "ir/text_parts.h"

#include <fmt/ranges.h>

#include <limits>
#include <unordered_map>

namespace netc {

namespace {

std::string reference_text(const Program& program, int buffer) {
  NETC_CHECK(buffer >= 0 && static_cast<size_t>(buffer) < program.buffers.size(),
             "program `{}` has no buffer {}", program.name, buffer);
  return fmt::format("%{}", name_text(program.buffers[static_cast<size_t>(buffer)].name));
}

std::string buffer_text(const Program& program, const Buffer& b) {
  std::string out = fmt::format("  %{} : {}{} {} {}", name_text(b.name), b.type.str(),
                                layout_text(b.layout), to_string(b.place), b.bytes);
  if (b.offset != 0 || b.place == Place::arena)
    out += fmt::format(" at {}", b.offset);
  if (b.alias >= 0)
    out += " alias " + reference_text(program, b.alias);
  if (!b.part.empty())
    out += fmt::format(" part {} of {}", to_text(b.part), to_string(Attribute{b.whole}));
  return out + fmt::format(" live {}..{}\n", b.first_step, b.last_step);
}

std::string exchange_text(const Exchange& e) {
  return fmt::format("  exchange {} : {} from {} to {}\n", name_text(e.name), e.type.str(),
                     quoted(print(e.from)), quoted(print(e.to)));
}

std::string step_text(const Program& program, const Step& s, const std::string* file) {
  NETC_CHECK(s.access.size() == s.buffers.size(), "step `{}` has {} buffers, {} accesses", s.kernel,
             s.buffers.size(), s.access.size());
  std::string out = s.exchange >= 0 ? fmt::format("  step exchange {}(", s.exchange)
                                    : fmt::format("  step {}(", name_text(s.kernel));
  for (size_t i = 0; i < s.buffers.size(); ++i)
    out += fmt::format("{}{} {}", i ? ", " : "", kernel::to_string(s.access[i]),
                       reference_text(program, s.buffers[i]));
  return out + fmt::format(") {}{}\n", quoted(s.label), loc_text(s.loc, file));
}

class Parser {
public:
  Parser(const std::string& text, const std::string& file_name)
      : reader_(text, file_name, graph_punctuation) {}

  Program program() {
    Program program;
    reader_.expect("program");
    program.name = reader_.name("the name of the program");
    if (reader_.accept("device"))
      program.device = index("a device");
    if (reader_.accept("from"))
      locs_.set_file(reader_.text("the name of a file"));
    reader_.expect("{");
    reader_.expect("arena");
    program.arena_bytes = size("a size");
    reader_.expect("at");
    reader_.expect("least");
    program.lower_bound_bytes = size("a size");
    while (!reader_.accept("}"))
      if (reader_.accept("step"))
        program.steps.push_back(step());
      else if (reader_.accept("exchange"))
        program.exchanges.push_back(exchange());
      else
        program.buffers.push_back(buffer());
    reader_.expect_end();
    return program;
  }

  std::vector<StateInit> state() {
    std::vector<StateInit> list;
    reader_.expect("state");
    reader_.expect("{");
    while (!reader_.accept("}"))
      list.push_back(state_init());
    reader_.expect_end();
    return list;
  }

private:
  Buffer buffer() {
    Buffer b;
    Token at = reader_.expect("%");
    b.name = reader_.name("the name of a buffer");
    reader_.expect(":");
    b.type = read_type(reader_);
    b.layout = read_layout(reader_);
    b.place = place();
    b.bytes = size("a size");
    if (reader_.accept("at"))
      b.offset = size("an offset");
    if (reader_.accept("alias"))
      b.alias = reference();
    if (reader_.accept("part"))
      part(b);
    reader_.expect("live");
    Token live = reader_.word("a live range");
    size_t dots = live.text.find("..");
    if (dots == live.text.npos)
      reader_.fail(live, fmt::format("expected a live range, got {}", live.shown()));
    b.first_step = step_number(live, live.text.substr(0, dots));
    b.last_step = step_number(live, live.text.substr(dots + 2));
    if (!indices_.emplace(b.name, static_cast<int>(indices_.size())).second)
      reader_.fail(at, "a second buffer of this name");
    return b;
  }

  /// Reads `[0:32, 0:3] of [64, 3]`.
  void part(Buffer& b) {
    Token at = reader_.expect("[");
    do {
      int64_t begin = size("an index");
      reader_.expect(":");
      b.part.push_back({begin, size("an index")});
    } while (reader_.accept(","));
    reader_.expect("]");
    reader_.expect("of");
    reader_.expect("[");
    b.whole = read_integers(reader_);
    if (is_empty(b.part) || b.part.size() != b.whole.size() ||
        !contains(whole_box(b.whole), b.part) || shape_of(b.part) != b.type.shape)
      reader_.fail(at, fmt::format("{} is no part of [{}] that is a {}", to_text(b.part),
                                   fmt::join(b.whole, ", "), b.type.str()));
  }

  Exchange exchange() {
    Exchange e;
    e.name = reader_.name("the name of an exchange");
    reader_.expect(":");
    e.type = read_type(reader_);
    reader_.expect("from");
    e.from = sharding();
    reader_.expect("to");
    e.to = sharding();
    return e;
  }

  Sharding sharding() {
    Token at = reader_.peek();
    std::optional<Sharding> sharding = parse_sharding(reader_.text("a sharding"));
    if (!sharding)
      reader_.fail(at, fmt::format("expected a sharding, got {}", quoted(at.text)));
    return *std::move(sharding);
  }

  int index(const char* what) {
    return static_cast<int>(reader_.integer_in(what, 0, std::numeric_limits<int>::max()));
  }

  int step_number(const Token& at, const std::string& text) {
    std::optional<int64_t> number = integer_of(text);
    if (!number || *number < -1 || *number > std::numeric_limits<int>::max())
      reader_.fail(at, fmt::format("expected a live range, got {}", at.shown()));
    return static_cast<int>(*number);
  }

  int64_t size(const char* what) { return reader_.integer_in(what, 0, int64_t{1} << 62); }

  Place place() {
    Token token = reader_.word("a place");
    for (Place place : {Place::state, Place::feed, Place::output, Place::arena})
      if (token.is(to_string(place)))
        return place;
    reader_.fail(
        token, fmt::format("expected `state`, `feed`, `output` or `arena`, got {}", token.shown()));
  }

  int reference() {
    Token at = reader_.expect("%");
    auto it = indices_.find(reader_.name("the name of a buffer"));
    if (it == indices_.end())
      reader_.fail(at, "no buffer of this name above");
    return it->second;
  }

  Step step() {
    Step s;
    s.kernel = reader_.name("the name of a kernel");
    if (s.kernel == "exchange" && !reader_.peek().is("(")) {
      s.kernel.clear();
      s.exchange = index("the number of an exchange");
    }
    reader_.expect("(");
    while (!reader_.accept(")")) {
      if (!s.buffers.empty())
        reader_.expect(",");
      s.access.push_back(access());
      s.buffers.push_back(reference());
    }
    s.label = reader_.text("the label of the step");
    s.loc = locs_.read(reader_);
    return s;
  }

  kernel::Access access() {
    using kernel::Access;
    Token token = reader_.word("an access");
    for (Access access : {Access::in, Access::out, Access::inout, Access::workspace})
      if (token.is(kernel::to_string(access)))
        return access;
    reader_.fail(
        token, fmt::format("expected `in`, `out`, `inout` or `workspace`, got {}", token.shown()));
  }

  StateInit state_init() {
    StateInit s;
    reader_.expect("%");
    s.name = reader_.name("the name of a tensor");
    reader_.expect(":");
    s.type = read_type(reader_);
    s.init = reader_.name("an initialisation");
    s.scale = reader_.real("a scale");
    reader_.expect("fan");
    s.fan_in = reader_.integer("a number of inputs");
    s.fan_out = reader_.integer("a number of outputs");
    s.trainable = reader_.accept("trainable");
    if (!s.trainable)
      reader_.expect("fixed");
    reader_.expect("rate");
    s.rate = reader_.real("a multiplier");
    reader_.expect("decay");
    s.decay = reader_.real("a multiplier");
    return s;
  }

  TextReader reader_;
  LocReader locs_;
  std::unordered_map<std::string, int> indices_; ///< Of the buffers so far.
};

} // namespace

std::string print(const Program& program) {
  const std::string* file = nullptr;
  for (const Step& s : program.steps)
    if (!file && s.loc.file)
      file = &s.loc.file->name;
  std::string out = fmt::format("program {} {}{}{{\n", name_text(program.name),
                                program.device > 0 ? fmt::format("device {} ", program.device) : "",
                                file ? fmt::format("from {} ", quoted(*file)) : "");
  out += fmt::format("  arena {} at least {}\n", program.arena_bytes, program.lower_bound_bytes);
  for (const Buffer& b : program.buffers)
    out += buffer_text(program, b);
  for (const Exchange& e : program.exchanges)
    out += exchange_text(e);
  for (const Step& s : program.steps)
    out += step_text(program, s, file);
  return out + "}\n";
}

std::string print(const std::vector<StateInit>& state) {
  std::string out = "state {\n";
  for (const StateInit& s : state)
    out += fmt::format("  %{} : {} {} {} fan {} {} {} rate {} decay {}\n", name_text(s.name),
                       s.type.str(), name_text(s.init), real_text(s.scale), s.fan_in, s.fan_out,
                       s.trainable ? "trainable" : "fixed", real_text(s.rate), real_text(s.decay));
  return out + "}\n";
}

Program parse_program(const std::string& text, const std::string& file_name) {
  return Parser(text, file_name).program();
}

std::vector<StateInit> parse_state(const std::string& text, const std::string& file_name) {
  return Parser(text, file_name).state();
}

} // namespace netc
