#include "runtime/cuda/cudnn.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc::cuda {

namespace {

// Of cudnn.h.
constexpr int success = 0, not_supported = 3000;
constexpr int f32 = 0, channels_last = 1, cross_correlation = 1;
constexpr int default_math = 0, tensor_math = 1, fma_math = 3; // with TF32, with it, without
constexpr int deterministic = 1;

constexpr const char* passes[] = {"conv2d_forward", "conv2d_data_gradient",
                                  "conv2d_weight_gradient"};
constexpr const char* searches[] = {"cudnnGetConvolutionForwardAlgorithm_v7",
                                    "cudnnGetConvolutionBackwardDataAlgorithm_v7",
                                    "cudnnGetConvolutionBackwardFilterAlgorithm_v7"};
constexpr const char* computations[] = {"cudnnConvolutionForward", "cudnnConvolutionBackwardData",
                                        "cudnnConvolutionBackwardFilter"};

} // namespace

std::vector<std::string> cudnn_files() {
  return {"libcudnn.so.9", "/usr/local/cuda/lib64/libcudnn.so.9"};
}

Cudnn::Cudnn(const std::vector<std::string>& files) : library(SharedLibrary::first_of(files)) {
  auto bind = [&]<class Function>(Function& function, const char* name) {
    function = library.function<Function>(name);
  };
  bind(status_text, "cudnnGetErrorString");
  bind(create, "cudnnCreate");
  bind(destroy, "cudnnDestroy");
  bind(create_tensor, "cudnnCreateTensorDescriptor");
  bind(destroy_tensor, "cudnnDestroyTensorDescriptor");
  bind(create_filter, "cudnnCreateFilterDescriptor");
  bind(destroy_filter, "cudnnDestroyFilterDescriptor");
  bind(create_convolution, "cudnnCreateConvolutionDescriptor");
  bind(destroy_convolution, "cudnnDestroyConvolutionDescriptor");
  bind(set_stream, "cudnnSetStream");
  bind(set_tensor, "cudnnSetTensor4dDescriptor");
  bind(set_filter, "cudnnSetFilter4dDescriptor");
  bind(set_convolution, "cudnnSetConvolution2dDescriptor");
  bind(set_groups, "cudnnSetConvolutionGroupCount");
  bind(set_math, "cudnnSetConvolutionMathType");
  for (size_t pass = 0; pass < 3; ++pass) {
    bind(search[pass], searches[pass]);
    bind(compute[pass], computations[pass]);
  }
}

void Cudnn::check(int status, const char* function) const {
  if (status != success)
    library_failed("cudnn", function, status_text(status), status);
}

namespace {

CudnnOwned make(const Cudnn& dnn, Cudnn::Create create, Cudnn::Destroy destroy,
                const char* function) {
  CudnnObject object = nullptr;
  dnn.check(create(&object), function);
  return {object, destroy};
}

/// An image tensor, NHWC.
CudnnOwned make_tensor(const Cudnn& dnn, int64_t batch, int64_t channels,
                       const std::array<int, 2>& size) {
  CudnnOwned tensor =
      make(dnn, dnn.create_tensor, dnn.destroy_tensor, "cudnnCreateTensorDescriptor");
  dnn.check(dnn.set_tensor(tensor.get(), channels_last, f32, static_cast<int>(batch),
                           static_cast<int>(channels), size[0], size[1]),
            "cudnnSetTensor4dDescriptor");
  return tensor;
}

size_t pass_of(const LibraryCall& call) {
  for (size_t pass = 0; pass < 3; ++pass)
    if (call.library == "cudnn" && call.convolution && call.pass == passes[pass])
      return pass;
  throw RuntimeError(fmt::format("there is no `{}` of `{}`", call.pass, call.library),
                     "compile the network again");
}

const ConvolutionShape& shape_of(const LibraryCall& call) {
  pass_of(call);
  return *call.convolution;
}

} // namespace

CudnnHandle::CudnnHandle(const std::vector<std::string>& files)
    : functions(files),
      handle(make(functions, functions.create, functions.destroy, "cudnnCreate")) {}

ConvolutionDescription::ConvolutionDescription(const Cudnn& dnn, const LibraryCall& call,
                                               Precision precision)
    : in(make_tensor(dnn, call.batch, call.in_features, shape_of(call).in)),
      weights(make(dnn, dnn.create_filter, dnn.destroy_filter, "cudnnCreateFilterDescriptor")),
      out(make_tensor(dnn, call.batch, call.out_features, shape_of(call).out)),
      convolution(make(dnn, dnn.create_convolution, dnn.destroy_convolution,
                       "cudnnCreateConvolutionDescriptor")) {
  NETC_CHECK(precision == Precision::fp32 || precision == Precision::tf32, "cuDNN is asked for {}",
             to_string(precision));
  const ConvolutionShape& c = shape_of(call);
  dnn.check(dnn.set_filter(weights.get(), f32, channels_last, static_cast<int>(call.out_features),
                           static_cast<int>(call.in_features) / c.groups, c.kernel[0], c.kernel[1]),
            "cudnnSetFilter4dDescriptor");
  dnn.check(dnn.set_convolution(convolution.get(), c.pad[0], c.pad[1], c.stride[0], c.stride[1],
                                c.dilation[0], c.dilation[1], cross_correlation, f32),
            "cudnnSetConvolution2dDescriptor");
  dnn.check(dnn.set_groups(convolution.get(), c.groups), "cudnnSetConvolutionGroupCount");
  dnn.check(dnn.set_math(convolution.get(), precision == Precision::tf32 ? default_math : fma_math),
            "cudnnSetConvolutionMathType");
}

Convolution::Convolution(const CudnnHandle& library, const LibraryCall& call, Precision precision,
                         std::string kernel)
    : library_(library), call_(call), kernel_(std::move(kernel)), pass_(pass_of(call)),
      description_(library.functions, call, precision) {
  const Cudnn& dnn = library_.functions;
  const auto [first, second, result] = roles();
  CudnnAlgorithm algorithms[16] = {};
  int found = 0;
  dnn.check(dnn.search[pass_](library_.handle.get(), first, second, description_.convolution.get(),
                              result, static_cast<int>(std::size(algorithms)), &found, algorithms),
            searches[pass_]);
  auto suits = [&](const CudnnAlgorithm& a) {
    const bool rounds = a.math == default_math || a.math == tensor_math;
    return a.status == success && a.deterministic == deterministic &&
           a.memory <= static_cast<size_t>(call_.scratch_bytes) &&
           (precision == Precision::tf32 ? a.math == fma_math || rounds
                                         : a.math == fma_math || a.math == default_math);
  };
  const auto end = algorithms + found, best = std::find_if(algorithms, end, suits);
  dnn.check(best == end ? not_supported : success, searches[pass_]);
  algorithm_ = best->algorithm;
  // In fp32 the description forbids tensor cores, however the algorithm is labelled.
  if (precision == Precision::tf32)
    dnn.check(dnn.set_math(description_.convolution.get(), best->math),
              "cudnnSetConvolutionMathType");
}

/// As the functions of the pass have them: the data gradient takes the weights first.
std::array<CudnnObject, 3> Convolution::roles() const {
  const auto& [in, weights, out, convolution] = description_;
  switch (pass_) {
  case 0:
    return {in.get(), weights.get(), out.get()};
  case 1:
    return {weights.get(), out.get(), in.get()};
  default:
    return {in.get(), out.get(), weights.get()};
  }
}

void Convolution::run(std::span<void* const> parameters, cudaStream_t stream) const {
  const Cudnn& dnn = library_.functions;
  const auto [first, second, result] = roles();
  auto parameter = [&](int index) { return parameters[static_cast<size_t>(index)]; };
  const bool swapped = pass_ == 1;
  const float one = 1, zero = 0;
  try {
    dnn.check(dnn.set_stream(library_.handle.get(), stream), "cudnnSetStream");
    dnn.check(dnn.compute[pass_](library_.handle.get(), &one, first,
                                 parameter(swapped ? call_.second : call_.first), second,
                                 parameter(swapped ? call_.first : call_.second),
                                 description_.convolution.get(), algorithm_,
                                 parameter(call_.scratch), static_cast<size_t>(call_.scratch_bytes),
                                 &zero, result, parameter(call_.result)),
              computations[pass_]);
  } catch (const RuntimeError& error) {
    throw RuntimeError(fmt::format("{}: {}", kernel_, error.what()), error.hint());
  }
}

} // namespace netc::cuda
