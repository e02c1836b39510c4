"""Run by Blender's Python (PyPI `bpy`): import a GLB, render it with Cycles on the CPU.

python blender_render.py IN.glb OUT.png

The camera stands on the glTF axes' +z side, a little to +x and above; light is flat white.
"""

import math
import sys


def main(glb_path: str, png_path: str) -> None:
    import bpy
    from mathutils import Vector

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=glb_path)
    scene = bpy.context.scene
    meshes = [thing for thing in scene.objects if thing.type == "MESH"]
    images = [image for image in bpy.data.images if image.size[0] > 0]
    print(f"MESHES {len(meshes)} IMAGES {len(images)}")  # noqa: T201

    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    # glTF (x, y, z) is Blender (x, -z, y).
    camera.location = Vector((0.7, -1.4, 0.6))
    camera.rotation_euler = (-camera.location).to_track_quat("-Z", "Y").to_euler()
    camera.data.angle = math.radians(45)
    scene.collection.objects.link(camera)
    scene.camera = camera

    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.view_settings.view_transform = "Standard"
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 16
    scene.render.film_transparent = True
    scene.render.resolution_x = scene.render.resolution_y = 256
    scene.render.filepath = png_path
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main(*sys.argv[-2:])
