#include "codegen/tuning.h"

#include "codegen/library_contraction.h"
#include "codegen/shape_text.h"
#include "ir/ops.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace netc {

using Json = nlohmann::ordered_json;

TuningTable TuningTable::parse(const std::string& text, const std::string& file_name) {
  TuningTable table;
  try {
    Json json = Json::parse(text);
    for (const auto& [key, value] : json.at("contractions").items()) {
      TuningEntry entry{value.at("chosen").get<std::string>(), {}};
      for (const Json& trial : value.at("measured"))
        entry.trials.push_back({trial.at("candidate").get<std::string>(),
                                trial.at("ms").get<double>(),
                                trial.at("relative_error").get<double>()});
      table.set(key, std::move(entry));
    }
  } catch (const Json::exception& error) {
    user_error(fmt::format("`{}` is no tuning table: {}", file_name, error.what()),
               "remove it, or write it again with `--tune`");
  }
  return table;
}

std::string TuningTable::str() const {
  Json json, contractions = Json::object();
  for (const auto& [key, entry] : entries_) {
    Json trials = Json::array();
    for (const Trial& trial : entry.trials)
      trials.push_back({{"candidate", trial.function},
                        {"ms", trial.ms},
                        {"relative_error", trial.relative_error}});
    contractions[key] = {{"chosen", entry.chosen}, {"measured", trials}};
  }
  json["format"] = 1;
  json["contractions"] = contractions;
  return json.dump(2) + "\n";
}

const TuningEntry* TuningTable::find(const std::string& key) const {
  auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

namespace {

/// Candidates that are measured at most, beside libraries: the first by the default rule's
/// estimate.
constexpr size_t most_trials = 8;

} // namespace

std::string tuning_key(const ContractionUse& use, const LoweringOptions& options,
                       const std::string& machine) {
  const std::string how =
      options.target.has_cuda_text()
          ? fmt::format("{}{}{}", to_string(precision_of(use.node, options)),
                        is_rounded(use.node) ? ", rounded operands" : "",
                        is_rounded(use.written) ? fmt::format(", {} result", to_string(use.written))
                                                : "")
          : fmt::format("{} thread{}", options.threads, options.threads == 1 ? "" : "s");
  return fmt::format("{} {} | {}, {}", std::get<TemplateLowering>(use.node.op->lower).name,
                     shape_name(contraction_shape(use, false)), machine, how);
}

double largest_tuning_error(Precision precision) {
  switch (precision) {
  case Precision::fp32:
  case Precision::x3tf32:
    return 1e-5;
  case Precision::tf32:
    return 2e-3;
  case Precision::bf16:
    break;
  }
  return 2e-2;
}

std::string Tuner::choose(const ContractionUse& use) {
  const std::vector<std::string> names = candidate_names(use, options_.lowering);
  if (names.size() < 2)
    return {};
  std::string key = tuning_key(use, options_.lowering, options_.machine);
  if (const TuningEntry* entry = table_.find(key)) {
    if (std::find(names.begin(), names.end(), entry->chosen) != names.end())
      return entry->chosen;
    if (options_.frozen || !options_.measure) // of another version of netc, maybe: measured anew
      user_error(fmt::format("the tuning table chooses `{}` for `{}`, which is no candidate",
                             entry->chosen, key),
                 "write the table again with `--tune`");
  }
  if (options_.frozen)
    user_error(fmt::format("the tuning table has no entry for `{}`", key),
               "compile with `--tune` to measure it, or without `--frozen`");
  if (!options_.measure)
    return {};
  TuningEntry entry = measure(use, names);
  std::string chosen = entry.chosen;
  table_.set(key, std::move(entry));
  return chosen;
}

TuningEntry Tuner::measure(const ContractionUse& use, const std::vector<std::string>& names) const {
  const double limit = largest_tuning_error(precision_of(use.node, options_.lowering));
  std::vector<std::string> promising;
  for (const std::string& name : names)
    if (promising.size() < most_trials || is_library(name))
      promising.push_back(name);
  TuningEntry entry{{}, options_.measure(use, promising)};
  const Trial* best = nullptr;
  for (const Trial& trial : entry.trials)
    if (trial.relative_error < limit && (!best || trial.ms < best->ms))
      best = &trial;
  entry.chosen = best ? best->function : names.front(); // as it would be untuned
  return entry;
}

namespace {

/// An image stored channels innermost.
struct Images {
  const float* data;
  int64_t height, width, channels;
  double at(int64_t n, int64_t h, int64_t w, int64_t c) const {
    return h < 0 || h >= height || w < 0 || w >= width
               ? 0.0
               : data[((n * height + h) * width + w) * channels + c];
  }
};

double conv2d_element(const std::string& family, const Conv2d& s, const float* a, const float* b,
                      int64_t index) {
  const int64_t k_group = s.group_out(), c_group = s.group_in();
  Images x{a, s.in_height, s.in_width, s.in_channels};
  auto weight = [&](int64_t k, int64_t c, int64_t r, int64_t t) {
    return static_cast<double>(b[((k * c_group + c) * s.kernel_height + r) * s.kernel_width + t]);
  };
  double sum = 0;
  if (family == "conv2d_forward") {
    int64_t k = index % s.out_channels, pixel = index / s.out_channels;
    int64_t ow = pixel % s.out_width(), oh = pixel / s.out_width() % s.out_height();
    int64_t n = pixel / (s.out_width() * s.out_height());
    for (int64_t c = 0; c < c_group; ++c)
      for (int64_t r = 0; r < s.kernel_height; ++r)
        for (int64_t t = 0; t < s.kernel_width; ++t)
          sum += x.at(n, oh * s.stride_height - s.pad_top + r * s.dilation_height,
                      ow * s.stride_width - s.pad_left + t * s.dilation_width,
                      k / k_group * c_group + c) *
                 weight(k, c, r, t);
  } else if (family == "conv2d_data_gradient") {
    Images dy{a, s.out_height(), s.out_width(), s.out_channels};
    int64_t c = index % s.in_channels, pixel = index / s.in_channels;
    int64_t w = pixel % s.in_width, h = pixel / s.in_width % s.in_height;
    int64_t n = pixel / (int64_t{s.in_width} * s.in_height), group = c / c_group;
    for (int64_t r = 0; r < s.kernel_height; ++r)
      for (int64_t t = 0; t < s.kernel_width; ++t) {
        int64_t y = h + s.pad_top - r * s.dilation_height;
        int64_t z = w + s.pad_left - t * s.dilation_width;
        if (y < 0 || z < 0 || y % s.stride_height || z % s.stride_width)
          continue;
        for (int64_t k = group * k_group; k < (group + 1) * k_group; ++k)
          sum +=
              dy.at(n, y / s.stride_height, z / s.stride_width, k) * weight(k, c % c_group, r, t);
      }
  } else {
    Images dy{b, s.out_height(), s.out_width(), s.out_channels};
    int64_t t = index % s.kernel_width, r = index / s.kernel_width % s.kernel_height;
    int64_t c = index / (s.kernel_width * s.kernel_height) % c_group;
    int64_t k = index / (s.kernel_width * s.kernel_height * c_group);
    for (int64_t n = 0; n < s.batch; ++n)
      for (int64_t oh = 0; oh < s.out_height(); ++oh)
        for (int64_t ow = 0; ow < s.out_width(); ++ow)
          sum += x.at(n, oh * s.stride_height - s.pad_top + r * s.dilation_height,
                      ow * s.stride_width - s.pad_left + t * s.dilation_width,
                      k / k_group * c_group + c) *
                 dy.at(n, oh, ow, k);
  }
  return sum;
}

double linear_element(const std::string& family, const Linear& l, const float* a, const float* b,
                      int64_t index) {
  const int64_t in = l.in_features, out = l.out_features;
  double sum = 0;
  if (family == "linear_forward") {
    int64_t n = index / out, o = index % out;
    for (int64_t i = 0; i < in; ++i)
      sum += static_cast<double>(a[n * in + i]) * b[o * in + i];
  } else if (family == "linear_data_gradient") {
    int64_t n = index / in, i = index % in;
    for (int64_t o = 0; o < out; ++o)
      sum += static_cast<double>(a[n * out + o]) * b[o * in + i];
  } else {
    int64_t o = index / in, i = index % in;
    for (int64_t n = 0; n < l.batch; ++n)
      sum += static_cast<double>(a[n * in + i]) * b[n * out + o];
  }
  return sum;
}

} // namespace

double contraction_element(const Node& contraction, const float* a, const float* b, int64_t index) {
  const std::string& family = std::get<TemplateLowering>(contraction.op->lower).name;
  const ContractionShape shape = contraction_shape({contraction}, false);
  if (const auto* conv = std::get_if<Conv2d>(&shape))
    return conv2d_element(family, *conv, a, b, index);
  return linear_element(family, std::get<Linear>(shape), a, b, index);
}

} // namespace netc
