"""What a style did to the videos: appearance gone, motion kept?"""
