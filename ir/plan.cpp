#include "ir/plan.h"

#include "ir/support/files.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace netc {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

NLOHMANN_JSON_SERIALIZE_ENUM(Resize, {{Resize::cover, "cover"}, {Resize::warp, "warp"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Crop, {{Crop::center, "center"}, {Crop::random, "random"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Mean, {{Mean::none, "none"},
                                    {Mean::channel, "channel"},
                                    {Mean::values, "values"}})
NLOHMANN_JSON_SERIALIZE_ENUM(ScheduleSpec::Kind, {{ScheduleSpec::Kind::constant, "constant"},
                                                  {ScheduleSpec::Kind::steps, "steps"},
                                                  {ScheduleSpec::Kind::plateau, "plateau"}})

namespace {

/// Lists the fields of a struct once, for writing and for reading.
template <class Io> void fields(Io& io, InputSpec& s) {
  io("channels", s.channels), io("height", s.height), io("width", s.width);
  io("stored_height", s.stored_height), io("stored_width", s.stored_width);
  io("resize", s.resize), io("crop", s.crop), io("flip", s.flip), io("mean", s.mean);
  io("mean_values", s.mean_values), io("scale", s.scale);
}
template <class Io> void fields(Io& io, OptimizerSpec& s) {
  io("rate", s.rate), io("momentum", s.momentum), io("decay", s.decay);
}
template <class Io> void fields(Io& io, ParameterRule& s) {
  io("match", s.match), io("rate", s.rate), io("decay", s.decay);
}
template <class Io> void fields(Io& io, ScheduleSpec& s) {
  io("type", s.kind), io("factor", s.factor), io("at", s.at), io("drops", s.drops);
  io("patience", s.patience);
}
template <class Io> void fields(Io& io, TrainSpec& s) {
  io("batch", s.batch), io("epochs", s.epochs), io("seed", s.seed), io("optimizer", s.optimizer);
  io("parameters", s.parameters), io("schedule", s.schedule);
}
template <class Io> void fields(Io& io, Recipe& s) {
  io("name", s.name), io("input", s.input), io("train", s.train), io("classes", s.classes);
}
template <class Io> void fields(Io& io, KernelEntry& s) {
  io("blocks", s.blocks), io("threads", s.threads), io("shared_bytes", s.shared_bytes);
  const bool known = s.says_registers();
  io.known_if(known, "registers", s.registers), io.known_if(known, "spill_bytes", s.spill_bytes);
}
template <class Io> void fields(Io& io, ConvolutionShape& s) {
  io("in", s.in), io("out", s.out), io("kernel", s.kernel), io("groups", s.groups);
  io("stride", s.stride), io("dilation", s.dilation), io("pad", s.pad);
}
template <class Io> void fields(Io& io, LibraryCall& s) {
  io("library", s.library), io("pass", s.pass), io("batch", s.batch);
  io("in_features", s.in_features), io("out_features", s.out_features);
  io.optional("convolution", s.convolution);
  io("first", s.first), io("second", s.second), io("bias", s.bias), io("result", s.result);
  io("scratch", s.scratch), io("scratch_bytes", s.scratch_bytes);
  io("entries_before", s.entries_before);
}
template <class Io> void fields(Io& io, PlanKernel& s) {
  io("name", s.name), io("implementation", s.implementation), io("precision", s.precision);
  io("binary", s.binary), io("entries", s.entries);
  io.optional("library", s.library);
}
template <class Io> void fields(Io& io, LayerRow& s) {
  io("name", s.name), io("type", s.type), io("output", s.output), io("parameters", s.parameters);
  io("macs_per_image", s.macs_per_image), io("activation_bytes", s.activation_bytes);
}
template <class Io> void fields(Io& io, Plan& s) {
  io("format", s.format), io("network", s.network), io("network_hash", s.network_hash);
  io("target", s.target), io("compiler", s.compiler), io("machine", s.machine);
  io("exact", s.exact), io("precision", s.precision), io("devices", s.devices);
  io.optional("strategy", s.strategy);
  io("threads", s.threads), io("batch", s.batch), io("recipe", s.recipe), io("layers", s.layers),
      io("kernels", s.kernels);
}

struct Writer;
struct Reader;
template <class T>
concept Record = requires(T& value, Writer& io) {
  fields(io, value);
};

struct Writer {
  Json json = Json::object();
  template <class T> static Json value(T& v) {
    if constexpr (Record<T>) {
      Writer inner;
      fields(inner, v);
      return inner.json;
    } else {
      return Json(v);
    }
  }
  template <class T> void operator()(const char* key, T& v) { json[key] = value(v); }
  // For keys that came after plans had been written: they stand there when they say something.
  void optional(const char* key, std::string& text) {
    if (!text.empty())
      json[key] = text;
  }
  template <Record T> void optional(const char* key, std::optional<T>& record) {
    if (record)
      json[key] = value(*record);
  }
  void known_if(bool known, const char* key, int& v) { json[key] = known ? Json(v) : Json(); }
  template <Record T> void operator()(const char* key, std::vector<T>& list) {
    json[key] = Json::array();
    for (T& entry : list)
      json[key].push_back(value(entry));
  }
};

struct Reader {
  const Json& json;
  template <class T> static void value(const Json& from, T& v) {
    if constexpr (Record<T>) {
      Reader inner{from};
      fields(inner, v);
    } else {
      v = from.get<T>();
    }
  }
  template <class T> void operator()(const char* key, T& v) { value(json.at(key), v); }
  void optional(const char* key, std::string& text) { text = json.value(key, std::string()); }
  template <Record T> void optional(const char* key, std::optional<T>& record) {
    record.reset();
    if (json.contains(key))
      value(json.at(key), record.emplace());
  }
  void known_if(bool, const char* key, int& v) {
    v = json.at(key).is_null() ? 0 : json.at(key).get<int>();
  }
  template <Record T> void operator()(const char* key, std::vector<T>& list) {
    list.clear();
    for (const Json& entry : json.at(key))
      value(entry, list.emplace_back());
  }
};

template <class T> Json to_json_value(const T& record) {
  T copy = record;
  return Writer::value(copy);
}

std::string read_part(const fs::path& path) {
  std::optional<std::string> text = read_text(path);
  if (!text)
    user_error(fmt::format("`{}` cannot be read", path.string()),
               "a plan is a folder written by `netc compile`");
  return *std::move(text);
}

} // namespace

const Program* Plan::find_program(std::string_view name, int device) const {
  for (const Program& program : programs)
    if (program.name == name && program.device == device)
      return &program;
  return nullptr;
}

std::vector<const Program*> Plan::device_programs(std::string_view name) const {
  std::vector<const Program*> list;
  for (int device = 0; device < devices; ++device)
    if (const Program* program = find_program(name, device))
      list.push_back(program);
  return list;
}

std::vector<std::string> Plan::program_names() const {
  std::vector<std::string> names;
  for (const Program& program : programs)
    if (std::find(names.begin(), names.end(), program.name) == names.end())
      names.push_back(program.name);
  return names;
}

std::string program_file(const Plan& plan, std::string_view name, int device) {
  return plan.devices == 1 ? fmt::format("{}.program.txt", name)
                           : fmt::format("{}.{}.program.txt", name, device);
}

std::string recipe_json(const Recipe& recipe) {
  return to_json_value(recipe).dump(2);
}

Recipe parse_recipe_json(const std::string& text) {
  Recipe recipe;
  Json json = Json::parse(text);
  Reader::value(json, recipe);
  return recipe;
}

void write_plan(const Plan& plan, const fs::path& folder) {
  Json json = to_json_value(plan);
  json["programs"] = plan.program_names();
  for (const Program& program : plan.programs)
    write_text(folder / program_file(plan, program.name, program.device), print(program));
  write_text(folder / "state.txt", print(plan.state));
  // Last and in one step: a folder with a plan.json is a whole plan.
  write_text(folder / "plan.json.tmp", json.dump(2) + "\n");
  fs::rename(folder / "plan.json.tmp", folder / "plan.json");
}

Plan read_plan(const fs::path& folder) {
  fs::path header = folder / "plan.json";
  std::string text = read_part(header);
  try {
    Json json = Json::parse(text);
    Plan plan;
    if (int format = json.at("format").get<int>(); format != plan.format)
      user_error(fmt::format("`{}` has format {}, this netc reads {}", folder.string(), format,
                             plan.format),
                 "compile the network again");
    Reader::value(json, plan);
    for (const Json& name : json.at("programs"))
      for (int device = 0; device < plan.devices; ++device) {
        fs::path file = folder / program_file(plan, name.get<std::string>(), device);
        plan.programs.push_back(parse_program(read_part(file), file.string()));
        if (plan.programs.back().device != device)
          user_error(
              fmt::format("`{}` is for device {}", file.string(), plan.programs.back().device),
              "compile the network again");
      }
    plan.state = parse_state(read_part(folder / "state.txt"), (folder / "state.txt").string());
    return plan;
  } catch (const Json::exception& error) {
    user_error(fmt::format("`{}` is damaged: {}", header.string(), error.what()),
               "compile the network again");
  }
}

} // namespace netc
