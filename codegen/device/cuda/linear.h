#pragma once
// Fully connected layers: convolutions of images of one pixel.

#include "codegen/device/cuda/conv2d.h"

namespace netc {

/// y = x w^T, then epilogue.
template <Linear l, Tiling t, int phase, class X, class Y, class Epilogue = NoEpilogue>
void linear_forward(Global<const X> x, Global<const float> w, Global<Y> y, Global<float> workspace,
                    const Epilogue& epilogue) {
  conv2d_forward<as_conv2d(l), t, phase>(x, w, y, workspace, epilogue);
}

/// dx = dy w, then epilogue.
template <Linear l, Tiling t, int phase, class X, class Y, class Epilogue = NoEpilogue>
void linear_data_gradient(Global<const X> dy, Global<const float> w, Global<Y> dx,
                          Global<float> workspace, const Epilogue& epilogue) {
  conv2d_data_gradient<as_conv2d(l), t, phase>(dy, w, dx, workspace, epilogue);
}

/// dw = dy^T x, then epilogue, to which a row is an output feature and a channel an input feature.
template <Linear l, Tiling t, int phase, class X, class Y, class Epilogue = NoEpilogue>
void linear_weight_gradient(Global<const X> x, Global<const Y> dy, Global<float> dw,
                            Global<float> workspace, const Epilogue& epilogue) {
  conv2d_weight_gradient<as_conv2d(l), t, phase>(x, dy, dw, workspace, epilogue);
}

} // namespace netc
