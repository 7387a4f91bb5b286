#include <iostream>

#include "tempera/tempera.h"

int main() {
  tempera::Pipeline pipeline({.device = "cpu"});  // .model = "path/to/sdxl" for another model than the small one
  const tempera::Result result = pipeline.generate({.prompt = "a red apple", .num_inference_steps = 4, .seed = 1});
  tempera::save_picture("apple.png", result.images[0]);
  std::cout << result.plan.model << '\n';
}
